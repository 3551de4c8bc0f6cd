"""The oracle: a good run passes, and each thing that can be wrong is counted as what it is."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from emobatch.stack.postgres import Postgres
from tests.faults.corpus import Corpus, corpus
from tests.faults.oracle import Verdict, judge
from tests.fixtures import Installation

ROWS = 60


def admin(postgres: Postgres, installation: Installation) -> psycopg.Connection:
    """A login that sees the rows of every account in the installation's database."""
    name = installation.settings.database_url.get_secret_value().rsplit("/", 1)[1]
    return psycopg.connect(postgres.admin_url.rsplit("/", 1)[0] + f"/{name}", autocommit=True)


@pytest.fixture
def done(installation: Installation, postgres: Postgres) -> Callable[..., Verdict]:
    """A finished job; what the oracle says of it once the output or the ledger has been tampered with."""
    made: Corpus = corpus(ROWS)
    job_id = installation.accept(made.data, text_column="text")
    installation.run(chunk_records=10)
    output = installation.csv(job_id)

    def tampered(change: Callable[[list[str]], list[str]] = list, statement: str = "") -> Verdict:
        header, *rows = output.decode().replace("train,\n", "train,~").split("\n")[:-1]
        changed = "\n".join([header, *change(rows), ""]).replace("train,~", "train,\n").encode()
        with admin(postgres, installation) as database:
            if statement:
                database.execute(statement)
            return judge(ids=made.ids, output=changed, reference=output, database=database, job_id=str(job_id))

    return tampered


def test_a_good_run_has_no_problem(done):
    verdict = done()
    assert verdict.problems == []
    assert verdict.byte_equal
    assert (verdict.rows, verdict.chunks, verdict.reclaimed) == (ROWS, 6, 0)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda rows: rows[:7] + rows[8:], {"lost": 1}),
        (lambda rows: [*rows[:8], rows[7], *rows[8:]], {"duplicated": 1}),
        (lambda rows: [*rows, "9-9" + rows[0][9:]], {"unexpected": 1}),
        (lambda rows: [rows[1], rows[0], *rows[2:]], {"out_of_order": 1}),
        (lambda rows: [rows[0].replace(",ok", ",failed: no"), *rows[1:]], {"wrongly_failed": 1, "failed_rows": 1}),
        (lambda rows: [rows[0].replace(",ok", ",ok: ragged"), *rows[1:]], {"different": 1}),
    ],
)
def test_what_is_wrong_with_the_rows_is_counted(done, change, counts):
    verdict = done(change)
    assert {name: getattr(verdict, name) for name in counts} == counts
    assert verdict.problems


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("UPDATE job SET rows_ok = rows_ok - 1, rows_failed = rows_failed + 1", "counters_off"),
        ("UPDATE job SET label_counts = '{}'", "counters_off"),
        ("UPDATE chunk SET first_row = first_row + 1 WHERE chunk_no = 3", "gaps"),
        ("UPDATE chunk SET byte_start = byte_start - 5 WHERE chunk_no = 3", "gaps"),
        ("UPDATE chunk SET state = 'leased' WHERE chunk_no = 3", "leases_left"),
        ("UPDATE chunk SET state = 'ready' WHERE chunk_no = 3", "orphan_results"),
        ("UPDATE chunk SET lease_token = lease_token + 1 WHERE chunk_no = 3", "orphan_results"),
        ("DELETE FROM result_chunk WHERE chunk_no = 3", "missing_results"),
        ("DELETE FROM chunk WHERE chunk_no = 5", "orphan_results"),
    ],
)
def test_what_is_wrong_with_the_ledger_is_counted(done, statement, count):
    verdict = done(statement=statement)
    assert getattr(verdict, count)
    assert verdict.problems


def test_a_job_that_did_not_end_well_is_a_problem(done):
    assert done(statement="UPDATE job SET state = 'failed'").problems == ["the job ended failed"]


def test_chunks_that_were_leased_again_are_counted(done):
    verdict = done(statement="UPDATE chunk SET attempt = 3 WHERE chunk_no < 2")
    assert (verdict.reclaimed, verdict.reruns, verdict.most_leases) == (2, 4, 3)
    assert verdict.problems == []
