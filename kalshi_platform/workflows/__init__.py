"""Work that strings the wings together: quickstart, progressive, publish."""
