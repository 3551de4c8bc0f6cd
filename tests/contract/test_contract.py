"""A short form of ``python -m tests.contract``: the examples and some random requests, against the session's server."""

from __future__ import annotations

from tests.contract.__main__ import run
from tests.contract.live import Live


def test_a_live_server_keeps_to_its_document(local_stack, local_home):
    live = Live(local_stack.url, local_stack.token, local_home)
    live.job(filename="reviews.csv")  # also waits for the worker
    found = run(live, phases="examples,fuzzing", examples=4, seed=7)
    assert not found.failed, found.said[-8000:]
    assert found.cases > 200
    assert found.statuses[200] > 20
