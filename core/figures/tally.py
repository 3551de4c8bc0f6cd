"""What is counted while a job's logits pass by: everything that the figures of some taxonomies need, at any threshold.

For each label the number of rows at each hundredth of score is kept; how many rows reach a threshold is a sum over
them. The same of the lower score of each two labels: how often both are said. Thresholds that lie between hundredths,
the fitted ones above all, are counted by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.figures import scoring
from core.figures.leaders import ROW, Leaders
from core.figures.scoring import STEPS, Bits
from core.taxonomy import Taxonomy

BLOCK = 32_768
"""Rows counted at once: what is computed of them stays in a processor's cache."""

Ints = NDArray[np.int64]
Groups = NDArray[np.integer]


class Tally:
    """Counts of one taxonomy.

    Args:
        taxonomy: k labels.
        threshold: one that is no hundredth and is to be counted too.
        n_groups: into how many groups the rows are parted; with one, labels that are said together and the rows that
            come first are kept as well.
        arrays: what `arrays` gave, to go on.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        threshold: float | None = None,
        n_groups: int = 1,
        arrays: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        k = len(taxonomy.labels)
        self.taxonomy = taxonomy
        self.threshold = threshold
        self.n_groups = n_groups
        self._whole = n_groups == 1
        self._pairs = list(combinations(range(k), 2)) if self._whole else []
        cuts = {"auto": np.array(taxonomy.thresholds)}
        if threshold is not None:
            cuts["given"] = np.full(k, threshold)
        self._cuts = cuts
        found = arrays or {}

        def counts(name: str, *shape: int) -> Ints:
            return np.array(found[name], dtype=np.int64) if name in found else np.zeros(shape, dtype=np.int64)

        self._counts = {
            "rows": counts("rows", n_groups),
            "top": counts("top", n_groups, k),
            "steps": counts("steps", n_groups, k, STEPS + 1),
            "best": counts("best", n_groups, STEPS + 1),
            "pairs": counts("pairs", len(self._pairs), STEPS + 1),
        }
        for cut in cuts:
            self._counts[f"said_{cut}"] = counts(f"said_{cut}", n_groups, k)
            self._counts[f"none_{cut}"] = counts(f"none_{cut}", n_groups)
            self._counts[f"pairs_{cut}"] = counts(f"pairs_{cut}", k, k)
        self._typical = Leaders(k, found.get("typical"))
        self._uncertain = Leaders(k, found.get("uncertain"))

    # --- counting ---------------------------------------------------------------------------------------------------

    def add(self, bits: Bits, rows: Ints, groups: Groups | None = None) -> None:
        """Takes rows in.

        Args:
            bits: (labels, n) as `scoring.scored` gives them.
            rows: (n,) their data rows.
            groups: (n,) which group each belongs to; None: there is one.
        """
        for start in range(0, bits.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            of = None if groups is None else groups[part].astype(np.int64)
            self._add(np.ascontiguousarray(bits[:, part]), rows[part], of)

    def _add(self, bits: Bits, rows: Ints, groups: Ints | None) -> None:
        scores = scoring.scores(self.taxonomy, bits)
        k, n = scores.shape
        n_groups = self.n_groups
        of = np.zeros(n, dtype=np.int64) if groups is None else groups
        top, best, second, second_score = _best_two(scores)
        reached = scoring.steps(scores)
        counts = self._counts
        counts["rows"] += np.bincount(of, minlength=n_groups)
        counts["top"] += np.bincount(of * k + top, minlength=n_groups * k).reshape(n_groups, k)
        width = STEPS + 1
        counts["best"] += np.bincount(of * width + reached.max(axis=0), minlength=n_groups * width).reshape(-1, width)
        shift = of * width if n_groups > 1 else 0
        for label in range(k):
            found = np.bincount(reached[label] + shift, minlength=n_groups * width)
            counts["steps"][:, label] += found.reshape(n_groups, width)
        for cut, thresholds in self._cuts.items():
            said = scores >= thresholds[:, None]
            counts[f"none_{cut}"] += np.bincount(of[~said.any(axis=0)], minlength=n_groups)
            if self._whole:
                together = said.astype(np.float32)  # counts under 2^24: exact
                counts[f"pairs_{cut}"] += np.rint(together @ together.T).astype(np.int64)
                counts[f"said_{cut}"][0] += np.count_nonzero(said, axis=1)
            else:
                for label in range(k):
                    counts[f"said_{cut}"][:, label] += np.bincount(of[said[label]], minlength=n_groups)
        if self._whole:
            self._count_pairs(reached)
            self._lead(top, best, second, second_score, rows)

    def _count_pairs(self, reached: NDArray[np.uint8]) -> None:
        """The lower step of each two labels. Counting is what costs: two pairs of labels are counted in one go."""
        width, into = STEPS + 1, self._counts["pairs"]
        for at in range(0, len(self._pairs) - 1, 2):
            (one, other), (third, fourth) = self._pairs[at : at + 2]
            joint = np.minimum(reached[one], reached[other]).astype(np.uint16) * np.uint16(width)
            joint += np.minimum(reached[third], reached[fourth])
            both = np.bincount(joint, minlength=width * width).reshape(width, width)
            into[at] += both.sum(axis=1)
            into[at + 1] += both.sum(axis=0)
        if len(self._pairs) % 2:
            one, other = self._pairs[-1]
            into[-1] += np.bincount(np.minimum(reached[one], reached[other]), minlength=width)

    def _lead(self, top: Ints, best: Any, second: Ints, second_score: Any, rows: Ints) -> None:
        kinds = [(self._typical, -best)]
        if len(self.taxonomy.labels) > 1:
            kinds.append((self._uncertain, best - second_score))
        for leaders, values in kinds:
            at = leaders.candidates(top, values)
            found = np.empty(len(at), dtype=ROW)
            found["label"], found["value"], found["row"] = top[at], values[at], rows[at]
            found["score"], found["second"], found["second_score"] = best[at], second[at], second_score[at]
            leaders.add(found)

    # --- what was counted -------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Ints:
        """(groups,) rows that were scored."""
        return self._counts["rows"]

    @property
    def top(self) -> Ints:
        """(groups, k) rows by their best label."""
        return self._counts["top"]

    def said(self, threshold: float | None) -> Ints:
        """(groups, k) rows in which each label reaches a threshold; None: its fitted one."""
        cut = self._cut(threshold)
        return self._counts[f"said_{cut}"] if cut else self._counts["steps"][:, :, step(threshold) :].sum(axis=2)

    def none(self, threshold: float | None) -> Ints:
        """(groups,) rows in which no label does."""
        cut = self._cut(threshold)
        return self._counts[f"none_{cut}"] if cut else self._counts["best"][:, : step(threshold)].sum(axis=1)

    def together(self, threshold: float | None) -> list[tuple[int, int, int]]:
        """Each two labels, and in how many rows both are said: (one, other, rows)."""
        cut = self._cut(threshold)
        if cut:
            found = self._counts[f"pairs_{cut}"]
            return [(one, other, int(found[one, other])) for one, other in self._pairs]
        sums = self._counts["pairs"][:, step(threshold) :].sum(axis=1)
        return [(one, other, int(count)) for (one, other), count in zip(self._pairs, sums, strict=True)]

    @property
    def typical(self) -> Leaders:
        """Rows of the highest score, by their best label."""
        return self._typical

    @property
    def uncertain(self) -> Leaders:
        """Rows whose second label comes nearest to the best, by the best."""
        return self._uncertain

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be kept."""
        return {
            **{name: counts.astype(np.uint32) for name, counts in self._counts.items()},
            "typical": self._typical.rows,
            "uncertain": self._uncertain.rows,
        }

    def _cut(self, threshold: float | None) -> str | None:
        """The name of a threshold that is counted by itself; None for a hundredth."""
        if threshold is None:
            return "auto"
        if is_step(threshold):
            return None
        if threshold != self.threshold:
            raise ValueError(f"The threshold {threshold} was not counted.")
        return "given"


def is_step(threshold: float) -> bool:
    """Whether a threshold is one of the hundredths at which scores are counted."""
    return threshold == round(threshold * STEPS) / STEPS


def step(threshold: float | None) -> int:
    """A hundredth as a whole number."""
    return round((threshold or 0.0) * STEPS)


def _best_two(scores: NDArray[np.float64]) -> tuple[Ints, Any, Ints, Any]:
    """(k, n) scores to the index and score of each row's best label (of equal ones the first), and of the second."""
    k, n = scores.shape
    top, second = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    best, after = scores[0].copy(), np.full(n, -np.inf)
    for label in range(1, k):
        now = scores[label]
        wins = now > best
        seconds = ~wins & (now > after)
        after = np.where(wins, best, np.where(seconds, now, after))
        second = np.where(wins, top, np.where(seconds, label, second))
        best = np.where(wins, now, best)
        top = np.where(wins, label, top)
    return top, best, second, after


def all_of(taxonomies: Sequence[Taxonomy], threshold: float | None, n_groups: int) -> list[Tally]:
    """An empty tally of each taxonomy."""
    return [Tally(taxonomy, threshold, n_groups) for taxonomy in taxonomies]
