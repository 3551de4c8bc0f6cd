"""What a program holds, labelled in one call: DataFrames, texts and paths, on the real stack."""

from __future__ import annotations

import csv
import tracemalloc

import pandas
import pytest

from core.errors import BadOption, NoTextColumn, NotFound, UnknownColumn
from emobatch.client import Client
from emobatch.frames import JOB_ATTRIBUTE
from emobatch.job import View

COLUMNS = ["emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags"]
TEXTS = ["I love this so much!", "", 'I am so sad,\nreally "sad"', "Where is my parcel?", "Wonderful, thank you\r!"]


@pytest.fixture(scope="module")
def client(local_stack):
    with Client(local_stack.url, local_stack.token) as client:
        yield client


@pytest.fixture
def frame() -> pandas.DataFrame:
    """An index that repeats, a missing text, dtypes that a CSV would lose, a column named as ours."""
    return pandas.DataFrame(
        {
            "id": pandas.array([1, None, 3, 4, 5], dtype="Int64"),
            "body": [TEXTS[0], None, *TEXTS[2:]],
            "emotion": pandas.Categorical(["mine", "mine", "other", None, "mine"]),
            "when": pandas.to_datetime(["2026-01-01"] * 5).tz_localize("Europe/Paris"),
        },
        index=pandas.Index(["b", "a", "a", "c", "d"], name="key"),
    )


def test_a_frame_comes_back_with_the_columns_and_nothing_else_changed(client, frame):
    before = frame.copy(deep=True)
    labelled = client.label(frame, "body")
    assert list(labelled.columns) == [*frame.columns, "emotion_2", *COLUMNS[1:]]
    pandas.testing.assert_frame_equal(labelled[frame.columns], before)
    pandas.testing.assert_frame_equal(frame, before)
    assert labelled["emotion_2"].tolist()[0] == "joy"
    assert labelled["emotion_2"].tolist()[2] == "sadness"
    assert labelled["row_status"].tolist() == ["ok", "empty", "ok", "ok", "ok"]
    assert labelled["emotion_2"].isna().tolist() == [False, True, False, False, False]
    assert labelled["emotion_score"].dtype == "float64"
    labelled.loc["c", "id"] = 9
    assert frame.loc["c", "id"] == 4
    assert JOB_ATTRIBUTE not in frame.attrs
    said = client.row(labelled.attrs[JOB_ATTRIBUTE], 3)
    assert (said["text"], said["emotion"]) == (TEXTS[2], "sadness")


def test_only_the_texts_are_sent(client, frame):
    job = client.status(client.label(frame, "body").attrs[JOB_ATTRIBUTE])
    assert job.fields["format"]["header"] == ["row", "text"]


def test_it_is_read_as_one_likes_it(client, frame):
    found = client.label(frame, "body", view=View(taxonomy="sentiment", scores="all"))
    assert list(found.columns)[4:8] == ["sentiment", "sentiment_score", "row_status", "flags"]
    scores = [name for name in found.columns if name.startswith("score_")]
    assert len(scores) == 28
    assert found[scores].iloc[[0, 2, 3, 4]].notna().all(axis=None)
    assert found[scores].iloc[1].isna().all()


def test_a_frame_with_no_rows_gets_the_columns_too(client, frame):
    empty = client.label(frame.iloc[:0], "body")
    full = client.label(frame, "body")
    assert list(empty.columns) == list(full.columns)
    assert empty["emotion_score"].dtype == "float64"
    assert JOB_ATTRIBUTE not in empty.attrs


def test_columns_in_levels_stay_so(client, frame):
    frame.columns = pandas.MultiIndex.from_product([["mine"], frame.columns], names=["whose", "what"])
    labelled = client.label(frame, ("mine", "body"))
    assert labelled.columns.nlevels == 2
    assert list(labelled.columns.names) == ["whose", "what"]
    assert labelled[("emotion", "")].iloc[0] == "joy"
    pandas.testing.assert_frame_equal(labelled[frame.columns], frame)


def test_the_text_column_is_guessed_as_of_a_file(client, frame):
    assert client.label(frame[["id", "body"]])["emotion"].iloc[0] == "joy"
    frame["product"] = ["kettle", "toaster", "lamp", "lamp", "kettle"]
    assert client.label(frame)["emotion_2"].iloc[0] == "joy"
    with pytest.raises(NoTextColumn, match="text_column="):
        client.label(frame[["id", "when"]])
    with pytest.raises(NoTextColumn, match="text_column="):
        client.label(pandas.DataFrame({"a": ["1.5", "2"], "b": ["2026-01-01", "2026-01-02"]}))
    with pytest.raises(UnknownColumn, match=r"'boddy'.*'body'"):
        client.label(frame, "boddy")
    with pytest.raises(UnknownColumn, match="2 columns"):
        client.label(pandas.concat([frame, frame], axis=1), "body")


def test_any_number_of_texts(client):
    assert client.label([]) == []
    found = client.label(f"{'I love it' if n % 2 else 'I am sad'}, {n}" for n in range(2_000))
    assert len(found) == 2_000
    assert {one.emotion for one in found[1::2]} == {"joy"}
    assert {one.emotion for one in found[::2]} == {"sadness"}
    said = client.label([None, float("nan"), pandas.NA, "half a pair: \ud83d", "zero \0 byte"])
    assert [one.row_status for one in said] == ["empty", "empty", "empty", "ok", "ok"]
    assert [one.row_status for one in client.label(pandas.Series(["fine", None]))] == ["ok", "empty"]


def test_requests_and_answers_are_never_in_memory_as_a_whole(client):
    client.label(["warm"])
    tracemalloc.start()
    found = client.label(f"fine{' ' * 4_000}{n}" for n in range(2_500))  # 10 MB up, and more down
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 2_500
    assert peak < 8_000_000


def test_a_file_gets_a_labelled_copy(client, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("id;body\n1;I love it\n2;so sad\n")
    written = client.label(path)
    assert written == tmp_path / "mine.labelled.csv"
    rows = list(csv.reader(written.open(newline=""), delimiter=";"))
    assert [row[:3] for row in rows] == [
        ["id", "body", "emotion"],
        ["1", "I love it", "joy"],
        ["2", "so sad", "sadness"],
    ]
    assert client.label(path, 2, output=tmp_path / "there.csv", view=View(taxonomy="goemotions")).name == "there.csv"


def test_what_makes_no_sense_is_told(client, frame, tmp_path):
    for source, options, words in [
        ("mine.csv", {}, "a file's name or a text"),
        (["a"], {"text_column": "a"}, "no columns"),
        (["a"], {"output": tmp_path}, "for a file"),
        (frame, {"text_column": "body", "view": View(taxonomy="colours")}, "colours"),
    ]:
        with pytest.raises((BadOption, NotFound), match=words):
            client.label(source, **options)


def test_who_stops_waiting_stops_the_work(client, frame):
    seen = []

    def stop(job):
        seen.append(job.id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.label([f"{words} again" for words in TEXTS * 4_000], on_change=stop)
    assert client.status(seen[0]).state == "cancelled"
