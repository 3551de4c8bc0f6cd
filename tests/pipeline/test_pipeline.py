"""Upload to download through the real stack: web, Redis, a Celery worker with the shipped model, Postgres."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time

import httpx
import pytest

TEXTS = [
    ("1", "I love this so much, thank you!", "joy"),
    ("2", 'He said "never again",\nand slammed the door. I am furious.', "anger"),
    ("3", "", ""),
    ("4", "I miss her every day and I cannot stop crying.", "sadness"),
    ("5", "Wait, what? I did not see that coming!", "surprise"),
    ("6", "The parcel weighs two kilograms.", "neutral"),
    ("7", "I'm so scared, I can't sleep alone in that house.", "fear"),
    ("8", "word " * 900, None),
]


@pytest.fixture(scope="module")
def api(local_stack):
    headers = {"Authorization": f"Bearer {local_stack.token}"}
    with httpx.Client(base_url=f"{local_stack.url}/api/v1", headers=headers, timeout=30) as client:
        yield client


def upload(api: httpx.Client, data: bytes, **query: str) -> str:
    answer = api.post("/jobs", content=data, params=query, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def wait(api: httpx.Client, job_id: str, seconds: float = 120) -> dict:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = api.get(f"/jobs/{job_id}").json()
        if status["state"] not in ("queued", "ingesting", "running"):
            return status
        time.sleep(0.1)
    raise AssertionError(f"still {status['state']}: {status}")


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def file_of(rows) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", "text"])
    writer.writerows(row[:2] for row in rows)
    return out.getvalue().encode()


def test_a_file_of_reviews_comes_back_labelled(api):
    data = file_of(TEXTS)
    job_id = upload(api, data, filename="reviews.csv")
    status = wait(api, job_id)
    assert status["state"] == "completed"
    answer = api.get(f"/jobs/{job_id}/results.csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    before, after = table(data), table(answer.content)
    assert [row[:2] for row in after] == before
    header = after[0][2:]
    assert header == ["emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags"]
    for (_, text, emotion), row in zip(TEXTS, after[1:], strict=True):
        labels = dict(zip(header, row[2:], strict=True))
        if emotion is not None:
            assert labels["emotion"] == emotion, text
        if not text:
            assert labels["row_status"] == "empty"
        elif len(text) > 1000:
            assert labels["row_status"].startswith("ok: windowed")
        else:
            assert labels["row_status"] == "ok"
            assert 0 < float(labels["emotion_score"]) <= 1
    lines = [json.loads(line) for line in api.get(f"/jobs/{job_id}/results.jsonl").text.splitlines()]
    assert [line["cells"]["id"] for line in lines] == [row[0] for row in TEXTS]
    assert [line["emotion"] or "" for line in lines] == [row[2] for row in after[1:]]
    page = api.get(f"/jobs/{job_id}/rows", params={"label": "joy"}).json()
    assert [row["row"] for row in page["rows"]] == [1] + [8] * (after[8][2] == "joy")


def test_a_compressed_file_in_another_encoding_comes_back(api):
    rows = [["Nummer", "Kommentar"], *([str(n), f"Schöne Grüße aus Köln, Nummer {n}"] for n in range(200))]
    data = gzip.compress("".join(";".join(row) + "\r\n" for row in rows).encode("utf-16"))
    job_id = upload(api, data, filename="gruesse.csv.gz")
    status = wait(api, job_id)
    assert status["state"] == "completed"
    out = api.get(f"/jobs/{job_id}/results.csv").content.decode()
    after = list(csv.reader(io.StringIO(out, newline=""), delimiter=";"))
    assert [row[:2] for row in after] == rows


def test_scores_do_not_depend_on_the_neighbours(api):
    text = "I am a little worried about the exam tomorrow."
    alone = wait_rows(api, f"text\n{text}\n".encode())
    among = wait_rows(api, f"text\n{text}\n{'long text ' * 150}\nshort\n".encode())
    assert alone[1][1] == among[1][1]
    assert float(alone[1][2]) == pytest.approx(float(among[1][2]), abs=1e-3)


def wait_rows(api, data: bytes) -> list[list[str]]:
    job_id = upload(api, data)
    wait(api, job_id)
    return table(api.get(f"/jobs/{job_id}/results.csv").content)
