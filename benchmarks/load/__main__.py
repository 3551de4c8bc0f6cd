"""The command line: ``python -m benchmarks.load``, or ``--only`` some of it."""

import sys

from benchmarks import single
from benchmarks.load import churn, classify, figures, polling, table, transfers

PARTS = {
    "poll": polling.measure,
    "transfers": transfers.measure,
    "churn": churn.measure,
    "figures": figures.measure,
    "table": table.measure,
    "classify": classify.measure,
}
DESCRIBED = (
    "Pollers, slow transfers, tables after many jobs, the summary and the table of rows of a large job, a few "
    "texts at once."
)

if __name__ == "__main__":
    sys.exit(single.run("load", DESCRIBED, PARTS))
