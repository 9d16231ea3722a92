"""The feature table, its kernels and the dataset builder."""
