"""Arrays sent in Postgres' binary form arrive as they are."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.arrays import Reals, SmallInts
from core.db import Database


@pytest.mark.parametrize("values", [[], [0], [-1, 27, 0, 32_767, -32_768], list(range(1_000))])
def test_small_integers(db: Database, values: list[int]):
    with db.transaction() as session:
        row = session.execute(
            text("SELECT CAST(:values AS smallint[]) AS came, cardinality(CAST(:values AS smallint[])) AS n"),
            {"values": SmallInts(values)},
        ).one()
    assert (row.came, row.n) == (values, len(values))


@pytest.mark.parametrize("values", [[], [0.0, 0.5, 1.0, -2.25], [0.1]])
def test_reals(db: Database, values: list[float]):
    with db.transaction() as session:
        came = session.execute(text("SELECT CAST(:values AS real[])"), {"values": Reals(values)}).scalar_one()
    assert came == pytest.approx(values)


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(OverflowError):
        SmallInts([40_000])
