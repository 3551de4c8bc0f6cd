"""The figures of a job: from its samples and the answers about them, in any taxonomy that one of them answers for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text

from core.db import Database
from core.errors import NotFound
from core.ledger import changed
from core.ledger.commits import to_json
from core.review.corrections import taxonomy_of
from core.review.draw import cross
from core.review.figures import THRESHOLDS, Answers, Figures, Trade, coarser, figures, gathered, trade
from core.review.reviews import Progress, progress
from core.review.tables import Review
from core.taxonomy import Taxonomy


@dataclass(frozen=True)
class Report:
    """What the answers say of the file, read in one taxonomy.

    Attributes:
        taxonomy: that the figures are in.
        sample: that they rest on; its taxonomy may be a finer one.
        fitted: the trade at the fitted threshold of each label.
        trades: at `THRESHOLDS`; as `fitted`, empty before the first answer.
    """

    taxonomy: Taxonomy
    sample: Progress
    figures: Figures
    fitted: Trade | None
    trades: tuple[Trade, ...]


def report(db: Database, account_id: uuid.UUID, job_id: uuid.UUID, taxonomy: str | None = None) -> Report:
    """The figures as the answers so far give them.

    Raises:
        NotFound: no such job, or no sample that answers for this taxonomy.
        BadOption: an unknown taxonomy.
    """
    with db.transaction(account_id) as session:
        _, wanted = taxonomy_of(session, account_id, job_id, taxonomy)
        reviews = session.scalars(select(Review).where(Review.job_id == job_id)).all()
        review, homes = _best(reviews, wanted)
        drawn = Taxonomy.from_dict(review.definition)
        if review.taxonomy == wanted.name:
            wanted = drawn
        rows = session.execute(
            text("""
            SELECT r.stratum, r.logits, c.labels FROM review_row r
            JOIN correction c ON c.job_id = r.job_id AND c.taxonomy = r.taxonomy AND c.row_no = r.row_no
            WHERE r.job_id = :job_id AND r.taxonomy = :taxonomy AND r.verdict = 'labelled' ORDER BY r.place
            """),
            {"job_id": job_id, "taxonomy": review.taxonomy},
        ).all()
        sample = progress(session, account_id, job_id, taxonomy=review.taxonomy)
    scores = np.zeros((0, len(wanted.labels)))
    if rows:
        scores = wanted.scores(np.frombuffer(b"".join(row.logits for row in rows), "<f2").reshape(len(rows), -1))
    truth = np.array([[label in row.labels for label in drawn.labels] for row in rows], np.bool_)
    truth = truth.reshape(len(rows), len(drawn.labels))
    strata = np.array([row.stratum for row in rows], np.int64)
    counts = np.array([review.strata[label] for label in drawn.labels], np.int64)
    if review.taxonomy == wanted.name:
        answers = Answers(counts, np.arange(len(counts)), strata, truth)
    else:
        crossed = _crossed(db, account_id, review, drawn, wanted)
        answers = _recast(crossed, strata, wanted.top(scores)[0], gathered(truth, homes, len(wanted.labels)))
    some = bool(len(rows))
    return Report(
        taxonomy=wanted,
        sample=sample,
        figures=figures(wanted.labels, answers),
        fitted=trade(wanted, answers, scores, None) if some else None,
        trades=tuple(trade(wanted, answers, scores, at) for at in THRESHOLDS) if some else (),
    )


def _candidates(reviews: Iterable[Review], wanted: Taxonomy) -> list[tuple[Review, tuple[int, ...]]]:
    found = []
    for review in reviews:
        if review.taxonomy == wanted.name:
            return [(review, tuple(range(len(wanted.labels))))]
        homes = coarser(Taxonomy.from_dict(review.definition), wanted)
        if homes is not None:
            found.append((review, homes))
    return found


def _best(reviews: Iterable[Review], wanted: Taxonomy) -> tuple[Review, tuple[int, ...]]:
    """The sample in this very taxonomy, else the largest of those in a finer one."""
    found = _candidates(reviews, wanted)
    if not found:
        raise NotFound(f"No sample answers for {wanted.name!r}.", next_step="Draw one in this taxonomy first.")
    return max(found, key=lambda one: one[0].size)


def _crossed(
    db: Database, account_id: uuid.UUID, review: Review, fine: Taxonomy, coarse: Taxonomy
) -> NDArray[np.int64]:
    """(fine, coarse) rows by best label, counted once and kept; of the rows that the sample was drawn from."""
    name = hashlib.sha256(to_json(coarse.to_dict()).encode()).hexdigest()[:16]  # an own taxonomy may change
    kept: Any = review.crossed.get(name)
    if kept is not None:
        return np.array(kept, np.int64)
    counts = cross(db, account_id, review.job_id, fine, coarse)
    # The job may have gone on since the draw: the strata keep their sizes, and only their division is taken from now.
    drawn = np.array([review.strata[label] for label in fine.labels], np.float64)
    now = counts.sum(axis=1)
    if (now != drawn).any():
        counts = np.rint(counts * (drawn / np.maximum(now, 1))[:, None]).astype(np.int64)
        return counts
    with db.transaction(account_id) as session:
        changed(
            session,
            """
            UPDATE review SET crossed = crossed || jsonb_build_object(CAST(:name AS text), CAST(:counts AS jsonb))
            WHERE job_id = :job_id AND taxonomy = :taxonomy AND drawn_at = :drawn_at
            """,
            {
                "name": name,
                "counts": to_json(counts.tolist()),
                "job_id": review.job_id,
                "taxonomy": review.taxonomy,
                "drawn_at": review.drawn_at,
            },
        )
    return counts


def _recast(
    crossed: NDArray[np.int64], strata: NDArray[np.int64], said: NDArray[np.int64], truth: NDArray[np.bool_]
) -> Answers:
    """Answers under other labels: a stratum is divided by what is said of its rows there, and all parts are counted.

    A part of a stratum is sampled as the stratum is, so each is a sample of its own (post-stratification).
    """
    there = np.zeros_like(crossed)
    np.add.at(there, (strata, said), 1)
    crossed = np.maximum(crossed, there)  # a row of the sample is a row of the file
    cells = np.argwhere(crossed > 0)
    at = {(int(fine), int(coarse)): number for number, (fine, coarse) in enumerate(cells)}
    mine = np.array([at[pair] for pair in zip(strata.tolist(), said.tolist(), strict=True)], np.int64)
    return Answers(crossed[cells[:, 0], cells[:, 1]], cells[:, 1], mine, truth)
