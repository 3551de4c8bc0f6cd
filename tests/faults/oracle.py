"""The one judge of all fault runs: what went in, what came out, what an undisturbed run gave, what the ledger holds.

As Jepsen's total-queue checker does, it counts instead of believing: every input row has an id, and each must come out
once, in its place, with the cells of the undisturbed run. Then the ledger: counters add up, chunks tile the file, no
lease is left, no result stands without its chunk. Every count is in the verdict; `problems` says which are wrong.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.rows import dict_row

TOLERANCE = 1e-3
"""With the real model: how far two runs' scores may be apart, by the rounding of batches."""

Rows = list[dict[str, str]]


@dataclass
class Verdict:
    """Counts of one job; all those in `WRONG` are 0 in a good run."""

    job_id: str
    state: str = ""
    rows: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    out_of_order: int = 0
    different: int = 0
    """Rows whose cells are not those of the undisturbed run."""
    byte_equal: bool | None = None
    """Whether the whole file is the undisturbed run's; None where scores may differ by rounding, or rows must fail."""
    failed_rows: int = 0
    wrongly_failed: int = 0
    """Rows that failed and should not have, or the other way round."""
    counters_off: int = 0
    gaps: int = 0
    """Places where chunks leave a gap, overlap, or begin or end elsewhere than the file."""
    leases_left: int = 0
    orphan_results: int = 0
    """Results without a finished chunk of their lease."""
    missing_results: int = 0
    chunks: int = 0
    reclaimed: int = 0
    """Chunks that were leased more than once."""
    reruns: int = 0
    """Leases over one, summed over chunks."""
    most_leases: int = 0
    """Leases of the chunk that was leased most often."""
    notes: list[str] = field(default_factory=list)

    WRONG = (
        *("lost", "duplicated", "unexpected", "out_of_order", "different", "wrongly_failed", "counters_off"),
        *("gaps", "leases_left", "orphan_results", "missing_results"),
    )

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words; empty in a good run."""
        found = [f"{name.replace('_', ' ')}: {getattr(self, name)}" for name in self.WRONG if getattr(self, name)]
        if self.byte_equal is False and not found:
            found.append("the file is not byte-equal to the undisturbed run's")
        return found + self.notes

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self) | {"problems": self.problems}


def judge(
    *,
    ids: Sequence[str],
    output: bytes,
    reference: bytes,
    database: psycopg.Connection,
    job_id: str,
    exact: bool = True,
    thresholds: Mapping[str, float] | None = None,
    must_fail: Collection[str] = (),
    ended: Collection[str] = ("completed",),
) -> Verdict:
    """Judges one finished job.

    Args:
        ids: of the input rows, in their order.
        output: the labelled file; with ``exact=False`` in the taxonomy of the model's own labels, with all scores.
        reference: the same file of an undisturbed run.
        database: a login that sees every row.
        exact: whether the output must be the reference's bytes; else scores may differ by `TOLERANCE`, and labels in
            a tie or that near a threshold.
        thresholds: of the model's labels, for ``exact=False``.
        must_fail: ids of rows that must have failed, with a reason; all others must not.
        ended: the states that the job may have ended in.
    """
    verdict = Verdict(str(job_id))
    _judge_rows(verdict, ids, _read(output), _read(reference), exact, thresholds or {}, set(must_fail))
    if exact and not must_fail:
        verdict.byte_equal = output == reference
    _judge_ledger(verdict, database, len(ids))
    if verdict.state not in ended:
        verdict.notes.append(f"the job ended {verdict.state}")
    return verdict


def _read(data: bytes) -> Rows:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def _judge_rows(
    verdict: Verdict,
    ids: Sequence[str],
    rows: Rows,
    reference: Rows,
    exact: bool,
    thresholds: Mapping[str, float],
    must_fail: set[str],
) -> None:
    found = Counter(row["id"] for row in rows)
    verdict.rows = len(rows)
    verdict.lost = sum(row_id not in found for row_id in ids)
    verdict.duplicated = sum(n - 1 for n in found.values())
    known = {row_id: place for place, row_id in enumerate(ids)}
    verdict.unexpected = sum(row_id not in known for row_id in found)
    places = [known[row["id"]] for row in rows if row["id"] in known]
    verdict.out_of_order = sum(after < before for before, after in pairwise(places))
    good = {row["id"]: row for row in reference}
    for row in rows:
        failed = row["row_status"].startswith("failed: ")
        verdict.failed_rows += failed
        verdict.wrongly_failed += failed != (row["id"] in must_fail)
        old = good.get(row["id"])
        if not failed and old is not None:
            verdict.different += row != old if exact else not _alike(old, row, thresholds)


def _alike(old: dict[str, str], new: dict[str, str], thresholds: Mapping[str, float]) -> bool:
    """Whether two outputs for one row differ by rounding only."""
    if any(old[name] != new[name] for name in ("id", "text", "row_status")):
        return False
    scores = [name for name in old if name.startswith("score_") or name.endswith("_score")]
    if any(abs(float(old[name] or 0) - float(new[name] or 0)) > TOLERANCE for name in scores):
        return False
    for label in set(old["emotions"].split("|")) ^ set(new["emotions"].split("|")):
        if not label or abs(float(new[f"score_{label}"]) - thresholds[label]) > TOLERANCE:
            return False
    top, was = new["emotion"], old["emotion"]
    return top == was or abs(float(new[f"score_{top}"]) - float(new[f"score_{was}"])) <= TOLERANCE


_CHUNKS = """
SELECT count(*) AS chunks, coalesce(sum(n_rows), 0) AS n_rows, count(*) FILTER (WHERE attempt > 1) AS reclaimed,
    coalesce(sum(attempt - 1), 0) AS reruns, coalesce(max(attempt), 0) AS most_leases,
    count(*) FILTER (WHERE state = 'leased') AS leased,
    count(*) FILTER (WHERE first_row <> expected_row OR byte_start < earliest) AS gaps,
    count(*) FILTER (WHERE state = 'done' AND NOT has_result) AS missing,
    count(*) FILTER (WHERE has_result AND (state <> 'done' OR NOT fits)) AS orphans
FROM (
    SELECT c.*, r.job_id IS NOT NULL AS has_result,
        r.first_row = c.first_row AND r.n_rows = c.n_rows AND cardinality(r.status) = c.n_rows
            AND r.lease_token = c.lease_token AS fits,
        coalesce(lag(c.first_row + c.n_rows) OVER before, 1) AS expected_row,
        coalesce(lag(c.byte_end) OVER before, 0) AS earliest
    FROM chunk c LEFT JOIN result_chunk r USING (job_id, chunk_no) WHERE c.job_id = %(id)s
    WINDOW before AS (ORDER BY c.chunk_no)
) tiled
"""

_RESULTS = """
SELECT count(*) AS results, coalesce(sum(s.ok), 0) AS ok, coalesce(sum(s.empty), 0) AS empty,
    coalesce(sum(s.failed), 0) AS failed,
    count(*) FILTER (WHERE NOT EXISTS (SELECT FROM chunk c WHERE c.job_id = r.job_id AND c.chunk_no = r.chunk_no))
        AS chunkless
FROM result_chunk r CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 0) AS ok, count(*) FILTER (WHERE status = 1) AS empty,
        count(*) FILTER (WHERE status = 2) AS failed FROM unnest(r.status) AS status
) s WHERE r.job_id = %(id)s
"""

_LABELS = """
SELECT taxonomy.key AS taxonomy, label.key AS label, sum(label.value::integer)::integer AS n
FROM result_chunk r, jsonb_each(r.label_counts) AS taxonomy, jsonb_each_text(taxonomy.value) AS label
WHERE r.job_id = %(id)s GROUP BY 1, 2
"""


def _judge_ledger(verdict: Verdict, database: psycopg.Connection, n: int) -> None:
    key = {"id": verdict.job_id}
    with database.cursor(row_factory=dict_row) as cursor:
        job = cursor.execute("SELECT * FROM job WHERE id = %(id)s", key).fetchone()
        if job is None:
            verdict.notes.append("the ledger does not know the job")
            return
        chunks: Any = cursor.execute(_CHUNKS, key).fetchone()
        results: Any = cursor.execute(_RESULTS, key).fetchone()
        counted: dict[str, dict[str, int]] = {}
        for row in cursor.execute(_LABELS, key).fetchall():
            counted.setdefault(row["taxonomy"], {})[row["label"]] = row["n"]
    verdict.state = job["state"]
    verdict.chunks, verdict.reclaimed = chunks["chunks"], chunks["reclaimed"]
    verdict.reruns, verdict.most_leases = int(chunks["reruns"]), chunks["most_leases"]
    verdict.leases_left = chunks["leased"] + (job["ingest_lease_until"] is not None)
    verdict.gaps = chunks["gaps"] + (chunks["n_rows"] != n)
    verdict.missing_results = chunks["missing"]
    verdict.orphan_results = chunks["orphans"] + results["chunkless"]
    verdict.counters_off = sum(
        (
            job["rows_total"] != n,
            job["rows_total"] != job["rows_ok"] + job["rows_skipped"] + job["rows_failed"],
            job["rows_ok"] != results["ok"],
            job["rows_skipped"] != results["empty"],
            job["rows_failed"] != results["failed"],
            job["chunks_total"] != chunks["chunks"],
            job["chunks_done"] != results["results"],
            {name: labels for name, labels in job["label_counts"].items() if labels} != counted,
        )
    )
