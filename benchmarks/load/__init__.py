"""Many at once: pollers, slow transfers, many jobs, a table of a million rows. ``python -m benchmarks.load``."""
