"""The command line: ``python -m benchmarks.load``, or ``--only`` some of it."""

import sys

from benchmarks import single
from benchmarks.load import churn, polling, transfers

PARTS = {"poll": polling.measure, "transfers": transfers.measure, "churn": churn.measure}

if __name__ == "__main__":
    sys.exit(single.run("load", "Pollers, slow transfers, and tables after many jobs have come and gone.", PARTS))
