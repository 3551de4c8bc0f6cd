"""The command line: ``python -m benchmarks.load``, or ``--only`` some of it."""

import sys

from benchmarks import single
from benchmarks.load import churn, figures, polling, transfers

PARTS = {"poll": polling.measure, "transfers": transfers.measure, "churn": churn.measure, "figures": figures.measure}

if __name__ == "__main__":
    sys.exit(single.run("load", "Pollers, slow transfers, tables after many jobs, the summary of a large job.", PARTS))
