"""One chunk: each row ends in exactly one state, and one bad row costs one row."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import replace

import numpy as np
import pytest

from core.errors import UploadDamaged
from core.flags import Trust
from core.ledger import ChunkLease, Source
from core.model_directory import ModelDirectory, shipped_model_path
from core.states import RowFlag, RowStatus
from core.storage import open_storage
from core.table import Format
from tests.fakes import NullScorer, null_logits
from worker import classify

FORMAT = Format(None, "utf-8", ",", True, "\n", True, ("id", "text"))
DATA = b"7,good\n8,\n9\n10,bad one,more\n11,  \n12,long\n13,good\n"


@pytest.fixture
def model():
    return ModelDirectory.load(shipped_model_path())


@pytest.fixture
def storage(tmp_path):
    store = open_storage(tmp_path.as_uri())
    with store.stage("uploads/a") as staged:
        staged.write(b"id,text\n" + DATA)
        store.commit(staged)
    return store


def lease(**changes) -> ChunkLease:
    source = Source(uuid.uuid4(), uuid.uuid4(), "uploads/a", "uploads/a", FORMAT.to_dict(), 1, "m")
    fields = {"first_row": 1, "first_line": 2, "n_rows": 7, "byte_start": 8, "byte_end": 8 + len(DATA)}
    fields |= {"crc": zlib.crc32(DATA), "isolated": False} | changes
    return ChunkLease(source=source, chunk_no=0, token=1, **fields)


def read(storage, **options):
    return classify.read_rows(storage, lease(), **({"max_text_chars": 100, "n_labels": 28} | options))


def test_every_row_gets_its_state_and_flags(storage, model):
    rows = read(storage)
    classify.score_rows(rows, NullScorer())
    ok, empty = RowStatus.OK, RowStatus.EMPTY
    assert rows.status == [ok, empty, empty, ok, empty, ok, ok]
    assert rows.flags == [0, 0, RowFlag.RAGGED, RowFlag.RAGGED, 0, RowFlag.WINDOWED, 0]
    assert rows.detail == {"5": {"windows": 2}}
    result = classify.summarise(rows, model, "null")
    assert (result.rows_ok, result.rows_skipped, result.rows_failed, result.rows_identical) == (4, 3, 0, 1)
    logits = np.frombuffer(result.logits, dtype="<f2").reshape(7, 28)
    assert np.array_equal(logits[[0, 3, 5, 6]], null_logits(["good", "bad one", "long", "good"]))
    assert np.isnan(logits[[1, 2, 4]]).all()
    assert [label >= 0 for label in result.top_label] == [True, False, False, True, False, True, True]
    assert {name: sum(counts.values()) for name, counts in result.label_counts.items()} == dict.fromkeys(
        model.taxonomies, 4
    )


def test_top_labels_are_those_of_the_stored_numbers(storage, model):
    rows = read(storage)
    classify.score_rows(rows, NullScorer())
    result = classify.summarise(rows, model, "null")
    index, score = model.taxonomy.top(model.taxonomy.scores(null_logits(["good"])))
    assert result.top_label[0] == index[0]
    assert result.top_score[0] == pytest.approx(score[0])


def test_trust_flags_are_stored_for_the_text_and_counted_with_those_of_the_logits(storage, model):
    texts = ["", "Das ist wirklich sehr schade", "12", "fine with me"]
    rows = classify.rows_of(texts, max_text_chars=100, n_labels=28, scope=b"")
    assert rows.flags == [0, RowFlag.NOT_ENGLISH, RowFlag.NO_WORDS, 0]
    classify.score_rows(rows, NullScorer())
    rows.logits[1], rows.logits[3] = -9, 9  # no trace of an emotion; every one at once
    trusting = replace(model, trust=Trust(trace=-3.0, margin=0.0001))
    assert classify.summarise(rows, trusting, "null").flag_counts == {
        "no_words": 1,
        "not_english": 1,
        "unfamiliar": 1,
        "close": 1,
    }
    rows.fail(1, "no")
    assert classify.summarise(rows, trusting, "null").flag_counts == {"no_words": 1, "not_english": 1, "close": 1}


def test_a_text_that_raises_fails_alone(storage, model):
    def on_text(text: str) -> None:
        if "bad" in text:
            raise RuntimeError("no")

    rows = read(storage)
    classify.score_rows(rows, NullScorer(on_text))
    assert rows.status[3] == RowStatus.FAILED
    assert rows.detail["3"] == {"reason": classify.UNREADABLE}
    result = classify.summarise(rows, model, "null")
    assert (result.rows_ok, result.rows_failed) == (3, 1)


def test_isolated_rows_are_written_down_before_they_are_tried(storage):
    rows = read(storage)
    events: list[str] = []
    scorer = NullScorer(lambda text: events.append(text))
    classify.score_isolated(
        rows,
        scorer,
        condemned={4: "crashed the model"},
        first_row=1,
        before_row=lambda row, text: events.append(f"row {row} {text}"),
    )
    assert events == ["row 1 good", "good", "row 6 long", "long", "row 7 good", "good"]
    assert rows.status[3] == RowStatus.FAILED
    assert rows.detail["3"] == {"reason": "crashed the model"}


def test_a_long_cell_is_capped_and_says_so(storage):
    rows = read(storage, max_text_chars=4)
    assert rows.texts[3] == "bad "
    assert rows.flags[3] == RowFlag.RAGGED | RowFlag.CAPPED


@pytest.mark.parametrize("changes", [{"crc": 1}, {"n_rows": 6}])
def test_bytes_that_are_not_the_ones_cut_are_never_labelled(storage, changes):
    with pytest.raises(UploadDamaged):
        classify.read_rows(storage, lease(**changes), max_text_chars=100, n_labels=28)


def test_a_chunk_without_text_needs_no_engine(storage, model):
    data = b"1,\n2,\n"
    with storage.stage("uploads/a") as staged:
        staged.write(b"id,text\n" + data)
        storage.commit(staged)
    held = lease(n_rows=2, byte_end=8 + len(data), crc=zlib.crc32(data))
    rows = classify.read_rows(storage, held, max_text_chars=100, n_labels=28)
    scorer = NullScorer()
    classify.score_rows(rows, scorer)
    assert scorer.calls == []
    result = classify.summarise(rows, model, "null")
    assert (result.rows_skipped, result.top_label, result.top_score) == (2, [-1, -1], [0.0, 0.0])
