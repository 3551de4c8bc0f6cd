"""The synchronous lane through the real stack: the labels of a job, on an idle worker, a busy one and a stopped one."""

from __future__ import annotations

import httpx
import pytest

from emobatch.client import Client
from emobatch.job import View
from tests.pipeline.test_pipeline import upload, wait

TEXTS = ["I love this so much, thank you!", "I miss her every day and I cannot stop crying.", "word " * 900, ""]


@pytest.fixture(scope="module")
def api(local_stack):
    headers = {"Authorization": f"Bearer {local_stack.token}"}
    with httpx.Client(base_url=f"{local_stack.url}/api/v1", headers=headers, timeout=30) as client:
        yield client


def classify(api: httpx.Client, texts=TEXTS, **options) -> list[dict]:
    answer = api.post("/classify", json={"texts": texts, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_a_text_gets_the_labels_of_a_row(api):
    job_id = upload(api, "".join(["text\n", *(f'"{text}"\n' for text in TEXTS)]).encode())
    wait(api, job_id)
    rows = api.get(f"/jobs/{job_id}/rows", params={"taxonomy": "goemotions"}).json()["rows"]
    results = classify(api, taxonomy="goemotions")
    assert [result["row_status"] for result in results] == [row["row_status"] for row in rows]
    assert [result["emotion"] for result in results] == [row["emotion"] for row in rows]
    for result, row in zip(results[:3], rows, strict=False):  # among other neighbours only rounding may differ
        assert result["emotion_score"] == pytest.approx(row["emotion_score"], abs=1e-3)


def test_it_is_answered_while_a_long_job_runs(api):
    lines = "".join(f"number {n} is a text that nobody has seen before, not even this worker\n" for n in range(60_000))
    job_id = upload(api, f"text\n{lines}".encode())
    answered = 0
    while (status := api.get(f"/jobs/{job_id}").json())["state"] in ("queued", "ingesting", "running"):
        classify(api, [f"urgent {answered}"])
        answered += 1
        if answered == 5:
            api.post(f"/jobs/{job_id}/cancel")
            break
    assert answered == 5, status


def test_the_client_labels_any_number_of_texts(api, local_stack):
    texts = [*TEXTS, *(f"number {n}" for n in range(70))]
    with Client(local_stack.url, local_stack.token) as client:
        results = client.classify(texts, View("goemotions", scores="all"))
    assert len(results) == 74
    assert [result.row_status for result in results[:4]] == [
        result["row_status"] for result in classify(api, taxonomy="goemotions")
    ]
    assert results[0].emotion in {"love", "gratitude"}
    assert results[0].fields["scores"][results[0].emotion] == pytest.approx(results[0].emotion_score, abs=1e-3)


def test_sixty_four_texts_come_back_in_order(api):
    texts = [f"number {n % 7}" for n in range(64)]
    results = classify(api, texts)
    assert len(results) == 64
    assert all(result == results[n % 7] for n, result in enumerate(results))
