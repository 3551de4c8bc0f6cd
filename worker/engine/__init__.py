"""Scoring texts with a model directory: the only place that imports a runtime, and only in the process that scores.

engine = load_engine(ModelDirectory.load(path), threads=2)
scored = engine.score(["I love it", "meh"])    # scored.logits: (2, 28) float16
"""

from worker.engine.engine import DEFAULT_MEMORY, Engine, Scored, load_engine
from worker.engine.memory import TextMemory
from worker.engine.runtime import Pause, Runtime, available_cores, go_on

__all__ = [
    "DEFAULT_MEMORY",
    "Engine",
    "Pause",
    "Runtime",
    "Scored",
    "TextMemory",
    "available_cores",
    "go_on",
    "load_engine",
]
