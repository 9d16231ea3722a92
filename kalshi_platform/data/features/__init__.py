"""The feature table and its kernels: one incremental kernel for replay and for live trading."""
