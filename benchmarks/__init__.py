"""How fast the program is, measured: one command, one machine, one run. `python -m benchmarks --help` says what.

What is compared runs in turns, round by round, so that a slow minute of the machine hits all alike; figures are medians
over the rounds, with the lowest and the highest beside them. Nothing here is needed to run emobatch.
"""
