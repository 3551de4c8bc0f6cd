"""Turns base weights and labelled text into a model directory; the worker meets it only there.

One noun a module. Towards a model: `data` (labelled rows), `base` (the weights we start from), `recipe` and `run`,
`train` (a recipe of runs), `augment`, `search`, `ablate`, `calibrate` (logits to honest scores), `export` (what
ships). Towards trust in it: `evaluate` (figures), `report` (with intervals, beside baselines), `domain` (rows from
elsewhere), `compare` (with another model), `neutral` (its worst fault, and what can be done), `records` and `runs`.
"""
