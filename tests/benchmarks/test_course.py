"""What the course of a job says of its growth."""

from __future__ import annotations

import pytest

from benchmarks.course import Course


def steady(rows: int = 1_000, until: float = 10.0) -> list[tuple[float, int]]:
    return [(until * n / 10, rows * n // 10) for n in range(11)]


def test_between_two_looks_rows_are_done_in_proportion():
    course = Course([(0.0, 0), (2.0, 100), (6.0, 200)], 1.0)
    assert course.when(50) == 1.0
    assert course.when(150) == 4.0
    assert course.marginal(100, 200) == 0.04
    assert (course.rows, course.seconds) == (200, 6.0)


def test_a_straight_line_does_not_grow():
    course = Course(steady(), 0.5)
    assert course.growth() == pytest.approx(1)
    assert course.growth_after_cutting() == pytest.approx(1)


def test_a_slow_end_shows():
    points = steady()
    points[-1] = (12.0, 1_000)  # the last tenth took three seconds in place of one
    assert Course(points, 0.5).growth() == pytest.approx(3)


def test_growth_after_cutting_needs_half_of_the_rows():
    assert Course(steady(), 6.0).growth_after_cutting() is None
    slow_start = [(0.0, 0), (5.0, 100), *((5.0 + n, 100 + 100 * n) for n in range(1, 10))]
    assert Course(slow_start, 5.0).growth_after_cutting() == pytest.approx(1)


def test_rows_that_were_never_done():
    with pytest.raises(ValueError, match="2,000 rows"):
        Course(steady(), 0.5).when(2_000)
