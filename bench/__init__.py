"""What OS Migrate costs: the data path beside the plain way (`python -m bench`), and many workloads (`bench.scale`)."""
