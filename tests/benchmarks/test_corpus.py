"""Texts of the benchmarks: distinct, repeatable, of the lengths that they claim."""

from __future__ import annotations

import csv
import statistics
from itertools import islice

from benchmarks.corpus import LINE_BYTES, WORDS, Corpus, example_texts, sentences, with_repeats, write_rows_of_99_bytes


def test_given_texts_come_once_each_and_made_ones_follow(tmp_path):
    (tmp_path / "train.tsv").write_text("one\t0\tx\ntwo \t1\ty\none\t2\tz\n\t3\tw\n")
    corpus = Corpus(tmp_path)
    texts = corpus.texts(200)
    assert set(texts[:2]) == {"one", "two"}
    assert len(set(texts)) == 200
    assert corpus.given == 2
    assert corpus.texts(50, start=150) == texts[150:]


def test_without_data_texts_are_made_and_the_seed_decides(tmp_path):
    assert Corpus(tmp_path, seed=3).texts(50) == Corpus(tmp_path, seed=3).texts(50)
    assert Corpus(tmp_path, seed=3).texts(50) != Corpus(tmp_path, seed=4).texts(50)
    assert "made" in Corpus(tmp_path).source


def test_made_sentences_are_as_long_as_real_ones():
    counts = [len(text.split()) for text in islice(sentences(example_texts(), 1), 4_000)]
    assert abs(statistics.mean(counts) - statistics.mean(WORDS)) < 0.5
    assert set(counts) == set(WORDS)


def test_repeats_are_as_many_as_asked_for():
    texts = with_repeats([f"text {n}" for n in range(60)], 100, 0.4, seed=1)
    assert len(texts) == 100
    assert len(set(texts)) == 60


def test_records_are_99_bytes_and_distinct(tmp_path):
    path = write_rows_of_99_bytes(tmp_path / "rows.csv", 2_500)
    header, *lines = path.read_bytes().splitlines(keepends=True)
    assert header == b"id,text,rating\n"
    assert {len(line) for line in lines} == {LINE_BYTES}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["text"] for row in rows}) == 2_500
    assert {row["rating"] for row in rows} == set("12345")
