"""Turns base weights and labelled text into a model directory; the worker meets it only there.

One noun a module: `data` (labelled rows), `base` (the weights we start from), `train` (a recipe of runs),
`calibrate` (logits to honest scores), `evaluate` (figures), `export` (the directory that ships).
"""
