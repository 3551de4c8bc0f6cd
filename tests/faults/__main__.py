"""The campaign: every kind of fault, on real processes, counted.

``python -m tests.faults`` (``make faults``) runs all kinds in full, at most 90 minutes on two cores, and writes its
table into docs/reliability.md. ``--only kind,kind`` and ``--scale 0.1`` run less. Kinds that are done are kept in
``.faults/`` and not run again by ``--resume``. Each kind has a process and a time limit of its own.
"""

from __future__ import annotations

import argparse
import sys

from tests.faults.campaign import Campaign
from tests.faults.kinds import kinds
from tests.faults.one import run_one

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="kinds, with commas between; --list names them")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each kind's count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--acks-late", action="store_true", help="workers acknowledge tickets late")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop beginning kinds after so long; 0: never")
    parser.add_argument("--lanes", type=int, choices=[1, 2], default=2, help="kinds at a time")
    parser.add_argument("--resume", action="store_true", help="keep what .faults/ has of the same seed and scale")
    parser.add_argument("--samples", choices=["yes", "no", "only"], default="yes", help="one fault with the real model")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md in any case")
    parser.add_argument("--list", action="store_true", help="name the kinds")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{kind.name:24} {kind.due:5}  {kind.title}" for kind in kinds().values()))
    elif given.one:
        run_one(given.one)
    else:
        sys.exit(Campaign(given).run())
