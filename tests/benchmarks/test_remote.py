"""A contestant in a process of its own."""

from __future__ import annotations

import os

import pytest

from benchmarks.remote import Remote, RemoteError


class Counter:
    """Counts, and fails when asked to."""

    def __init__(self, start: int) -> None:
        if start < 0:
            raise ValueError("below zero")
        self.count = start

    def add(self, amount: int) -> tuple[int, int, int]:
        self.count += amount
        return self.count, os.getpid(), len(os.sched_getaffinity(0))

    def fail(self) -> None:
        raise KeyError("no")


def test_an_object_lives_elsewhere_and_survives_its_errors():
    with Remote(Counter, 5, cores=[min(os.sched_getaffinity(0))]) as counter:
        assert counter.call("add", 2)[0] == 7
        with pytest.raises(RemoteError, match="KeyError"):
            counter.call("fail")
        count, pid, cores = counter.call("add", 1)
    assert (count, cores) == (8, 1)
    assert pid != os.getpid()


def test_what_cannot_be_made_says_why():
    with pytest.raises(RemoteError, match="below zero"):
        Remote(Counter, -1)
