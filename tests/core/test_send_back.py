"""Failed rows fetched, fixed and sent back: they take their places, and nothing else changes."""

from __future__ import annotations

import csv
import io
import json
import uuid

import pytest
import xlsxwriter
from sqlalchemy import text

from core import jobs, registry, removal
from core.errors import ColumnsDiffer, Conflict, NoRows, NotAFailedRow, NotFound, NotReady, NotText
from core.reruns import label_again
from core.results import ResultOptions, Results, RowQuery
from core.results.search import Needle
from core.send_back import FixRequest, SentBack
from core.states import JobState
from core.table import Overrides
from tests.fakes import NullScorer
from tests.fixtures import Installation
from worker.retention import remove_uploads, retire_jobs

N = 60
BAD = (3, 4, 17, 40, 60)
"""Rows that fail, spread over chunks of ten."""

BROKEN = NullScorer(lambda text: (_ for _ in ()).throw(RuntimeError("no")) if "bad" in text else None)


def rows(bad: tuple[int, ...] = BAD) -> list[list[str]]:
    texts = {n: f"bad, {n}" if n in bad else f"text; number {n}" for n in range(1, N + 1)}
    texts[5] = ""
    return [[str(n), text, "=kept"] for n, text in texts.items()]


def written(table: list[list[str]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(table)
    return out.getvalue().encode(encoding)


def read(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


@pytest.fixture
def parent(installation: Installation) -> uuid.UUID:
    made = installation.accept(written([["id", "text", "note"], *rows()]))
    installation.run(BROKEN, chunk_records=10)
    return made


def opened(installation: Installation, job_id: uuid.UUID, **options: str):
    results = Results(installation.web_db, installation.storage)
    return results.open(installation.account_id, job_id, ResultOptions.parse(**options))


def failed(installation: Installation, job_id: uuid.UUID) -> list[list[str]]:
    return read(b"".join(opened(installation, job_id).files.failed()))


def send(installation: Installation, parent_id: uuid.UUID, data: bytes, key: str | None = None) -> uuid.UUID:
    taken = SentBack(installation.web_db, installation.storage, installation.settings, installation.model)
    request = FixRequest("fixed.csv", idempotency_key=key, parent_id=parent_id)
    return taken.accept(installation.account_id, request, [data[at : at + 50] for at in range(0, len(data), 50)]).job_id


def fixed(table: list[list[str]]) -> list[list[str]]:
    """The file of failed rows, with its texts mended."""
    return [table[0], *([*row[:3], row[3].replace("bad", "good"), *row[4:]] for row in table[1:])]


def as_if_never_failed(installation: Installation) -> uuid.UUID:
    """A job of the mended file, labelled at once."""
    table = [[number, text.replace("bad", "good"), note] for number, text, note in rows()]
    made = installation.accept(written([["id", "text", "note"], *table]))
    installation.run(chunk_records=10)
    return made


def test_failed_rows_come_alone_with_their_numbers_and_reasons(installation, parent):
    table = failed(installation, parent)
    assert table[0] == ["row_number", "row_status", "id", "text", "note"]
    assert [row[0] for row in table[1:]] == [str(n) for n in BAD]
    assert all(row[1].startswith("failed: ") for row in table[1:])
    assert [row[2:] for row in table[1:]] == [rows()[n - 1] for n in BAD]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_fixed_rows_take_their_places_everywhere(installation, parent, delimiter, encoding):
    table = fixed(failed(installation, parent))
    table[1:] = reversed(table[1:])  # somebody sorted it
    child = send(installation, parent, written(table, delimiter, encoding))
    assert installation.status(parent).state is JobState.COMPLETED_WITH_ERRORS
    installation.run()
    assert installation.status(child).state is JobState.COMPLETED
    whole, mended = as_if_never_failed(installation), installation.status(parent)
    expected = installation.status(whole)
    assert mended.state is JobState.COMPLETED
    assert (mended.rows_ok, mended.rows_skipped, mended.rows_failed) == (N - 1, 1, 0)
    assert mended.label_counts == expected.label_counts
    assert mended.flag_counts == expected.flag_counts
    assert mended.runtimes == expected.runtimes == {"null": N - 1}
    for options in ({}, {"taxonomy": "goemotions", "scores": "all"}, {"threshold": "0.3"}):
        one, other = (opened(installation, job, **options) for job in (parent, whole))
        assert b"".join(one.csv()) == b"".join(other.csv())
        assert b"".join(one.jsonl()) == b"".join(other.jsonl())
    for label in installation.model.taxonomies["ekman"].labels:
        one, other = (opened(installation, job).page(RowQuery(label=label), limit=N).rows for job in (parent, whole))
        assert one == other
    found = opened(installation, parent).page(RowQuery(search=Needle("good, 17"))).rows
    assert [(row["row"], row["text"]) for row in found] == [(17, "good, 17")]
    with installation.db.transaction() as session:
        stored = text("SELECT label_counts, top_label, status FROM result_chunk WHERE job_id = :id ORDER BY chunk_no")
        one, other = (session.execute(stored, {"id": job}).all() for job in (parent, whole))
    assert one == other


def test_rows_may_be_sent_back_in_parts_and_those_that_fail_again_once_more(installation, parent):
    table = failed(installation, parent)
    part = [table[0], *fixed(table)[1:3]]
    part[2][3] = "bad again"
    send(installation, parent, written(part))
    installation.run(BROKEN)
    now = installation.status(parent)
    assert (now.state, now.rows_failed, now.revision) == (JobState.COMPLETED_WITH_ERRORS, len(BAD) - 1, 1)
    table = failed(installation, parent)
    assert [row[0] for row in table[1:]] == [str(n) for n in BAD[1:]]
    assert table[1][3] == "bad again"  # what was sent last is what is to be fixed
    # Without the column of reasons; and one that is emptied counts as empty.
    rest = [[row[0], *row[2:]] for row in fixed(table)]
    rest[-1][2] = ""
    send(installation, parent, written(rest))
    installation.run()
    now = installation.status(parent)
    assert (now.state, now.rows_failed, now.rows_skipped, now.revision) == (JobState.COMPLETED, 0, 2, 2)
    out = read(installation.csv(parent))
    assert [out[n][1] for n in BAD] == ["good, 3", "good again", "good, 17", "good, 40", ""]
    assert [row[0] for row in out[1:]] == [str(n) for n in range(1, N + 1)]
    with pytest.raises(Conflict, match="No row"):
        failed(installation, parent)


def test_a_row_that_is_being_mended_is_not_taken_twice(installation, parent):
    data = written(fixed(failed(installation, parent)))
    first = send(installation, parent, data, key="k")
    assert send(installation, parent, data, key="k") == first
    with pytest.raises(Conflict, match="sent back before"):
        send(installation, parent, data)
    with installation.web_db.transaction(installation.account_id) as session:
        jobs.cancel(session, installation.account_id, first)
    second = send(installation, parent, data)
    installation.run()
    assert installation.status(second).state is JobState.COMPLETED
    assert installation.status(parent).rows_failed == 0
    with pytest.raises(Conflict, match="No row"):
        send(installation, parent, data)


def test_two_children_of_one_parent_mend_their_own_rows(installation, parent):
    table = fixed(failed(installation, parent))
    send(installation, parent, written([table[0], *table[1::2]]))
    send(installation, parent, written([table[0], *table[2::2]]))
    installation.run()
    assert installation.status(parent).state is JobState.COMPLETED
    assert installation.csv(parent) == installation.csv(as_if_never_failed(installation))


def broken(table: list[list[str]], kind: str) -> list[list[str]]:
    table = [list(row) for row in table]
    if kind == "number":
        table[2][0] = "four"
    elif kind == "beyond":
        table[2][0] = str(N + 1)
    elif kind == "fine":
        table[2][0] = "5"
    else:
        table[2][0] = table[1][0]
    return table


@pytest.mark.parametrize(
    ("kind", "said"),
    [("number", "no row number"), ("beyond", "no row 61"), ("fine", "has not failed"), ("twice", "second time")],
)
def test_a_wrong_row_is_named_by_its_place_in_the_file(installation, parent, kind, said):
    table = broken(fixed(failed(installation, parent)), kind)
    table[1][3] = "over\nthree\nlines"
    with pytest.raises(NotAFailedRow, match=said) as refused:
        send(installation, parent, written(table))
    assert (refused.value.row, refused.value.line, refused.value.column) == (2, 5, "row_number")
    installation.run()
    assert installation.status(parent).rows_failed == len(BAD)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["row_number", "row_status", "id", "txt", "note"], "Column 4 is 'txt', and should be 'text'"),
        (["row_number", "row_status", "id", "text"], "has 4 columns, and should have 5"),
        (["id", "text", "note"], "Column 1 is 'id', and should be 'row_number'"),
    ],
)
def test_other_columns_are_refused(installation, parent, header, said):
    table = [header, *(row[: len(header)] for row in failed(installation, parent)[1:])]
    with pytest.raises(ColumnsDiffer) as refused:
        send(installation, parent, written(table))
    assert said in str(refused.value)


def test_a_workbook_of_fixed_rows_is_to_be_saved_as_csv(installation, parent):
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(fixed(failed(installation, parent))):
            sheet.write_row(at, 0, row)
    with pytest.raises(NotText) as refused:
        send(installation, parent, made.getvalue())
    assert "CSV" in str(refused.value.next_step)


def test_what_has_no_failed_rows_takes_none(installation, parent):
    table = failed(installation, parent)
    child = send(installation, parent, written(fixed(table)))
    with pytest.raises(Conflict, match=str(parent)):
        send(installation, child, written(table))
    with pytest.raises(NotFound):
        send(installation, uuid.uuid4(), written(table))
    with pytest.raises(NoRows):
        send(installation, parent, written(table[:1]))
    going = installation.accept(b"text\nfine\n")
    with pytest.raises(NotReady):
        send(installation, going, written(table))
    with installation.web_db.transaction(installation.account_id) as session:
        jobs.cancel(session, installation.account_id, going)
    with pytest.raises(Conflict, match="ended before"):
        send(installation, going, written(table))


def sweep(installation: Installation) -> set[str]:
    """Removes what is to be removed; the keys that are left."""
    for _ in range(2):
        retire_jobs(installation.db, 30)
        remove_uploads(installation.db, installation.storage)
    return {entry.key.rpartition("/")[2].partition(".")[0] for entry in installation.storage.list()}


def upload_of(installation: Installation, job_id: uuid.UUID) -> str:
    with installation.db.transaction() as session:
        return str(session.execute(text("SELECT upload_id FROM job WHERE id = :id"), {"id": job_id}).scalar_one())


def delete(installation: Installation, job_id: uuid.UUID) -> removal.Removed:
    with installation.web_db.transaction(installation.account_id) as session:
        return removal.delete(session, installation.account_id, job_id)


def test_what_a_child_mended_outlives_it_and_goes_with_the_parent(installation, parent):
    child = send(installation, parent, written(fixed(failed(installation, parent)), encoding="utf-16"))
    installation.run()
    files = {upload_of(installation, parent), upload_of(installation, child)}
    before = installation.csv(parent)
    assert delete(installation, child).upload_bytes == 0
    assert sweep(installation) == files
    assert installation.csv(parent) == before
    delete(installation, parent)
    assert sweep(installation) == set()


def test_a_parent_takes_its_children_with_it(installation, parent):
    child = send(installation, parent, written(fixed(failed(installation, parent))))
    delete(installation, parent)
    installation.run()
    with pytest.raises(NotFound):
        installation.status(child)
    assert sweep(installation) == set()


def test_a_child_that_ends_late_leaves_an_expired_parent_alone(installation, parent):
    child = send(installation, parent, written(fixed(failed(installation, parent))))
    with installation.db.transaction() as session:
        session.execute(text("UPDATE job SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": parent})
    retire_jobs(installation.db, 30)
    installation.run()
    assert installation.status(child).state is JobState.COMPLETED
    assert installation.status(parent).state is JobState.EXPIRED
    assert sweep(installation) == {upload_of(installation, child)}


def test_many_rows_must_be_in_order(installation, parent, monkeypatch):
    monkeypatch.setattr("core.fixed_rows.MOST_UNSORTED", 3)
    table = fixed(failed(installation, parent))
    with pytest.raises(NotAFailedRow, match="in the order"):
        send(installation, parent, written([table[0], *reversed(table[1:])]))
    send(installation, parent, written(table))


def test_rows_of_other_widths_come_back_as_they_were(installation: Installation):
    data = b"id;text\n1;bad;over;more\n2\n3;bad\n4;fine\n"
    made = installation.accept(data, overrides=Overrides(delimiter=";", has_header=True))
    installation.run(BROKEN)
    table = read(b"".join(opened(installation, made).files.failed()), ";")
    assert [row[2:] for row in table[1:]] == [["1", "bad", "over", "more"], ["3", "bad"]]
    send(installation, made, written(fixed(table), ";"))
    installation.run()
    lines = [json.loads(line) for line in b"".join(opened(installation, made).jsonl()).splitlines()]
    assert [line.get("overflow") for line in lines] == [["over", "more"], None, None, None]
    assert [(line["row"], line["line"], line["text"]) for line in lines] == [
        (1, 2, "good"),
        (2, 3, ""),
        (3, 4, "good"),
        (4, 5, "fine"),
    ]
    assert [line["row_status"] for line in lines] == ["ok: ragged", "empty", "ok", "ok"]


def test_labelling_the_same_file_again_mends_nothing(installation, parent):
    before = installation.status(parent)
    with installation.web_db.transaction(installation.account_id) as session:
        model = registry.choose_model(session, installation.model.sha256, [installation.model])
        again = label_again(session, installation.account_id, parent, model, installation.settings)
    installation.run(BROKEN)
    now = installation.status(parent)
    assert (now.rows_ok, now.rows_failed, now.revision) == (before.rows_ok, before.rows_failed, 0)
    assert installation.status(again).mends_job_id is None
    delete(installation, parent)
    assert installation.status(again).rows_failed == before.rows_failed
    assert failed(installation, again)[1:]
