"""How evenly something is shared."""

from __future__ import annotations

from collections.abc import Sequence


def jain(shares: Sequence[float]) -> float:
    """Jain's fairness index of what each of n contestants got: 1 where all got the same, 1/n where one got it all.

    (Σx)² / (n Σx²): R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource
    Allocation in Shared Computer Systems", DEC Research Report TR-301, 1984.

    Raises:
        ValueError: nobody got anything.
    """
    squares = sum(share * share for share in shares)
    if not squares:
        raise ValueError("Nobody got anything: there is nothing to compare.")
    return sum(shares) ** 2 / (len(shares) * squares)
