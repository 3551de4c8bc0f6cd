"""Flower's configuration, which it runs as Python: who may look, from the file that ``FLOWER_AUTH_FILE`` names."""

import os
from pathlib import Path

basic_auth = [Path(os.environ["FLOWER_AUTH_FILE"]).read_text().strip()]
"""``user:password``"""
