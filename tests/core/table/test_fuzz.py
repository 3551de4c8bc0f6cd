"""The short form of `tests.core.table.fuzz`, and that it would notice."""

from __future__ import annotations

import pytest

from core.table.records import RecordReader
from tests.core.table import fuzz


def test_the_cutter_keeps_its_promise():
    assert fuzz.run(1_000_000, 5_000) == ""


@pytest.mark.parametrize("break_it", ["end", "cells", "row", "line"])
def test_a_cutter_that_breaks_it_is_noticed(monkeypatch, break_it):
    real = RecordReader.__iter__

    def broken(self):
        for record in real(self):
            if break_it == "cells":
                record.cells = [*record.cells, ""]
            else:
                setattr(record, break_it, getattr(record, break_it) + 1)
            yield record

    monkeypatch.setattr(RecordReader, "__iter__", broken)
    assert "AssertionError" in fuzz.run(1, 500)
