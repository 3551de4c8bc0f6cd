"""How long a million-row job takes to draw its sample: `python -m benchmarks.review_draw`.

A job of 1,000 rows is labelled by the null model on a stack of its own; then its chunks are copied a thousand times in
the database, since only what is stored matters to a draw.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.stacks import NULL_MODEL, started
from emobatch.stack.postgres import DATABASE, Postgres

COPIES = 1_000
TURNS = 5

COPY = f"""
INSERT INTO result_chunk (job_id, chunk_no, account_id, first_row, n_rows, logits, top_label, top_score, status, flags,
    detail, label_counts, model_sha256, lease_token)
SELECT job_id, chunk_no + n * (SELECT count(*) FROM result_chunk), account_id, first_row + n * 1000, n_rows, logits,
    top_label, top_score, status, flags, detail, label_counts, model_sha256, lease_token
FROM result_chunk, generate_series(1, {COPIES - 1}) n
"""  # noqa: S608 - our own number


def main() -> None:
    """Prints seconds of a draw in each taxonomy: the median, the best and the worst of some turns."""
    with started(NULL_MODEL) as local, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        file.write_text("text\n" + "".join(f"text number {n}\n" for n in range(1000)))
        job = local.client.wait(local.client.create_job(file).id)
        with psycopg.connect(Postgres.of(local.home).admin_url, dbname=DATABASE) as connection:
            connection.execute(COPY)
            connection.execute("UPDATE job SET rows_ok = 1000 * %s", (COPIES,))
        for taxonomy in ("ekman", "goemotions", "sentiment"):
            seconds = []
            for _ in range(TURNS):
                began = time.perf_counter()
                found = local.client.reviews.draw(job.id, taxonomy=taxonomy, size=100)
                seconds.append(time.perf_counter() - began)
            middle, best, worst = statistics.median(seconds), min(seconds), max(seconds)
            print(f"{taxonomy}: {found['rows_labelled']:,} rows in {middle:.2f} s ({best:.2f} to {worst:.2f})")


if __name__ == "__main__":
    main()
