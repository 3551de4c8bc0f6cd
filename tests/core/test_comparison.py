"""Two versions on one upload: labelled again without sending it, and compared row by row."""

from __future__ import annotations

import csv
import io
import uuid

import pytest

from core import removal, reruns
from core.errors import BadOption, LimitExceeded, NotFound, NotReady
from core.registry import choose_model
from core.results import ResultOptions, Results
from core.results.comparison import Comparison
from tests.fakes import NullScorer
from tests.fixtures import Installation
from tests.versions import MOVED, OtherScorer, come_alive, of_other

ROWS = 300


def reviews() -> bytes:
    rows = [
        f'{n},"text {n} of {n % 7}{f" {MOVED}" if n % 5 == 0 else ""}{"" if n % 50 else ", quoted"}"\n'
        for n in range(ROWS)
    ]
    return ("row,text\n" + "".join(rows) + "x,\n").encode()


def again(installation: Installation, job_id: uuid.UUID, most: int = 100) -> uuid.UUID:
    with installation.web_db.transaction(installation.account_id) as session:
        model = choose_model(session, "other-model", [installation.model])
        settings = installation.settings.model_copy(update={"max_active_jobs": most})
        return reruns.label_again(session, installation.account_id, job_id, model, settings)


@pytest.fixture
def two(installation: Installation) -> tuple[uuid.UUID, uuid.UUID]:
    """A job, and the same upload labelled again by the other version, cut into other chunks."""
    first = installation.accept(reviews(), text_column="text")
    installation.run(NullScorer(), chunk_records=64)
    other = of_other(installation)
    come_alive(installation.db, other.model)
    second = again(installation, first)
    other.run(OtherScorer(), chunk_records=50)
    return first, second


def compared(installation: Installation, before: uuid.UUID, after: uuid.UUID, taxonomy: str | None = None):
    results = Results(installation.web_db, installation.storage)
    opened = [results.open(installation.account_id, each, ResultOptions.parse(taxonomy)) for each in (before, after)]
    return Comparison(*opened)


def emotions(installation: Installation, job_id: uuid.UUID, column: str, taxonomy: str) -> list[str]:
    data = installation.csv(job_id, taxonomy=taxonomy).decode()
    return [row[column] for row in csv.DictReader(io.StringIO(data))]


@pytest.mark.parametrize(("taxonomy", "column"), [("ekman", "emotion"), ("sentiment", "sentiment")])
def test_every_changed_row_is_found_and_no_other(installation: Installation, two, taxonomy, column):
    old, new = (emotions(installation, job_id, column, taxonomy) for job_id in two)
    expected = [(n + 1, a, b) for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    assert len(expected) > 10
    assert all((row - 1) % 5 == 0 for row, _, _ in expected)
    found = compared(installation, *two, taxonomy)
    assert [(change.row, change.before, change.after) for change in found.changes(limit=ROWS)] == expected
    agreement = found.agreement()
    assert (agreement.rows, agreement.changed) == (ROWS, len(expected)), "the empty row was labelled by neither"
    assert sum(agreement.pairs.values()) == len(expected)
    middle = expected[len(expected) // 2][0]
    later = [row for row, _, _ in expected if row > middle]
    assert [change.row for change in found.changes(middle, 3)] == later[:3]


def test_the_csv_has_the_rows_own_cells_and_both_labels(installation: Installation, two):
    found = compared(installation, *two)
    table = list(csv.reader(io.StringIO(b"".join(found.csv()).decode())))
    assert table[0] == ["row_2", "row", "text", "label_before", "score_before", "label_after", "score_after"]
    changes = found.changes(limit=ROWS)
    assert len(table) == 1 + len(changes)
    for cells, change in zip(table[1:], changes, strict=True):
        assert cells[:3] == [str(change.row), *change.cells]
        assert (cells[3], cells[5]) == (change.before, change.after)
        assert float(cells[4]) == pytest.approx(change.before_score)


def test_a_job_compared_with_itself_agrees(installation: Installation, two):
    agreement = compared(installation, two[0], two[0]).agreement()
    assert (agreement.share, agreement.changed) == (1.0, 0)


def test_jobs_of_different_uploads_are_not_compared(installation: Installation, two):
    other = installation.accept(reviews(), text_column="text")
    installation.run()
    with pytest.raises(BadOption):
        compared(installation, two[0], other)


def test_a_job_knows_the_others_of_its_upload(installation: Installation, two):
    with installation.web_db.transaction(installation.account_id) as session:
        (sibling,) = reruns.siblings(session, installation.account_id, two[0])
        assert (sibling.id, sibling.model_name) == (two[1], "other-model")
        removal.delete(session, installation.account_id, two[1])
        assert reruns.siblings(session, installation.account_id, two[0]) == []


def test_an_upload_stays_while_a_job_needs_it(installation: Installation, two):
    from worker.retention import retire_jobs

    with installation.web_db.transaction(installation.account_id) as session:
        removed = removal.delete(session, installation.account_id, two[0])
    assert removed.upload_bytes == 0
    retire_jobs(installation.db, 30)
    assert len(emotions(installation, two[1], "emotion", "ekman")) == ROWS + 1


def test_what_cannot_be_labelled_again_says_why(installation: Installation, two):
    with pytest.raises(NotFound):
        again(installation, uuid.uuid4())
    installation.accept(b"text\nwaiting\n")
    with pytest.raises(LimitExceeded):
        again(installation, two[0], most=1)
    with installation.db.transaction() as session:
        from sqlalchemy import text

        session.execute(text("UPDATE job SET upload_id = NULL WHERE id = :id"), {"id": two[0]})
    with pytest.raises(NotReady):
        again(installation, two[0])
