"""Many at once: pollers, slow transfers, tables after many jobs came and went. ``python -m benchmarks.load``."""
