"""A job checked from Python and the command line, on the real stack."""

from __future__ import annotations

import io
import json

import pytest

from core.errors import NotFound
from emobatch.cli import main
from emobatch.client import Client
from training.data import read_tsv

TEXTS = [f"{words}, number {n}" for n in range(20) for words in ("I love this so much", "I am so sad", "See page")]


@pytest.fixture(scope="module")
def client(local_stack):
    with Client(local_stack.url, local_stack.token) as client:
        yield client


@pytest.fixture(scope="module")
def job_id(client) -> str:
    file = io.BytesIO("".join(["text\n", *(f'"{text}"\n' for text in TEXTS)]).encode())
    return client.wait(client.create_job(file, filename="mine.csv").id).id


def test_a_job_is_checked_by_a_program_and_read_at_a_terminal(client, job_id, local_stack, capsys, tmp_path):
    reviews = client.reviews
    with pytest.raises(NotFound):
        reviews.report(job_id)
    assert reviews.draw(job_id, size=30, seed=1)["left"] == 30
    truth = {"I love": "joy", "I am s": "sadness", "See pa": "neutral"}
    while rows := reviews.next_rows(job_id):
        for row in rows:
            told = reviews.answer(job_id, row.row, [truth[row.text[:6]]])
            assert told["said"]
    last = row.row
    reviews.take_back(job_id, last)
    reviews.answer(job_id, last, "unsure")
    assert reviews.progress(job_id)["unsure"] == 1
    found = reviews.report(job_id)
    assert (found.rows, found.asked) == (60, 29)
    joy = next(one for one in found.labels if one.label == "joy")
    assert joy.prevalence.low <= 1 / 3 <= joy.prevalence.high
    assert reviews.report(job_id, taxonomy="sentiment").taxonomy == "sentiment"
    where = ["--server", local_stack.url, "--token", local_stack.token]
    assert main(["check", job_id, *where]) == 0
    printed = capsys.readouterr().out
    assert "29 answers" in printed
    assert "sadness" in printed
    assert main(["check", job_id, "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == found.fields
    reviews.remove(job_id)
    assert len(reviews.corrections(job_id)) == 29


def test_corrections_are_exported_for_training(client, job_id, local_stack, capsys, tmp_path):
    reviews = client.reviews
    reviews.correct(job_id, 1, ["love", "admiration"], taxonomy="goemotions")
    reviews.correct(job_id, 2, ["grief"], taxonomy="goemotions")
    reviews.correct(job_id, 3, ["neutral"], taxonomy="goemotions")
    reviews.withdraw(job_id, 3, taxonomy="goemotions")
    kept = reviews.corrections(job_id, taxonomy="goemotions")
    assert [(one.row, one.labels) for one in kept] == [(1, ("admiration", "love")), (2, ("grief",))]
    target = tmp_path / "mine.tsv"
    where = ["--server", local_stack.url, "--token", local_stack.token]
    assert main(["corrections", job_id, "--taxonomy", "goemotions", "-o", str(target), *where]) == 0
    rows = read_tsv(target)
    assert rows.texts == TEXTS[:2]
    assert rows.gold.sum(axis=1).tolist() == [2, 1]
    assert main(["corrections", job_id, "--format", "csv", "-o", str(tmp_path), *where]) == 0
    assert (tmp_path / "mine.corrections.csv").read_text().startswith("text,label\n")
    capsys.readouterr()
    assert main(["corrections", job_id, "--taxonomy", "colours", *where]) == 2
    assert "colours" in capsys.readouterr().err
