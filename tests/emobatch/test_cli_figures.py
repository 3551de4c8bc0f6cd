"""What the progress and the summary say, as pure functions of numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.states import JobState
from emobatch import summary
from emobatch.job import Job
from emobatch.progress import bytes_figures, duration, row_figures, size


def job(**changes: Any) -> Job:
    fields = {
        "id": "4f0c",
        "filename": "a.csv",
        "state": "running",
        "created_at": "2026-03-01T10:00:00+00:00",
        "rows_total": 5000,
        "rows_total_final": True,
        "rows_ok": 1200,
        "rows_skipped": 30,
        "rows_failed": 4,
    }
    return Job.from_dict(fields | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "1,234 of 5,000 rows"),
        ({"rate": 350.4, "eta_s": 185.0}, "1,234 of 5,000 rows, 350 rows/s, 3 min 5 s left"),
        (
            {"rate": 350.4, "eta_s": 40.0, "eta_low_s": 30.2, "eta_high_s": 65.0},
            "1,234 of 5,000 rows, 350 rows/s, 30 s to 1 min 5 s left",
        ),
        (
            {"rate": 350.4, "eta_s": 40.0, "eta_low_s": 39.8, "eta_high_s": 40.3},
            "1,234 of 5,000 rows, 350 rows/s, 40 s left",
        ),
        ({"rate": 3.25}, "1,234 of 5,000 rows, 3.2 rows/s"),
        ({"rows_total_final": False, "rate": 80.0}, "1,234 of at least 5,000 rows, 80 rows/s"),
        ({"rows_total": 0}, "reading the file"),
        ({"rate": 0.0, "waiting_for": "Waiting for a worker."}, "1,234 of 5,000 rows, Waiting for a worker."),
    ],
)
def test_how_far_a_job_is(changes, said):
    assert row_figures(job(**changes)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7_800, "2 h 10 min"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (25 * 10**11, "2,500.0 GB")],
)
def test_sizes(n, said):
    assert size(n) == said


def test_a_transfer_of_unknown_length_says_what_has_come():
    assert bytes_figures(1500, 3000) == "1.5 kB of 3.0 kB"
    assert bytes_figures(1500, 0) == "1.5 kB"


def test_a_job_reads_its_times_and_its_error():
    found = job(
        state="failed",
        started_at="2026-03-01T10:00:00Z",
        finished_at="2026-03-01T10:01:30Z",
        error={"code": "no_rows", "what": "No rows."},
    )
    assert found.state is JobState.FAILED
    assert found.seconds == 90
    assert found.created_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert str(found.error) == "No rows."


def test_status_of_a_failed_job_tells_the_error():
    lines = summary.status_lines(job(state="failed", rows_total=0, error={"what": "It ends in quotes.", "line": 3}))
    assert lines == [
        "job     4f0c",
        "file    a.csv",
        "state   failed",
        "error   file line 3: It ends in quotes.",
    ]


@pytest.mark.parametrize(
    ("runtimes", "said"),
    [
        ({}, []),
        ({"one, float32": 5}, ["model   small 1.2.0, one, float32"]),
        ({"one": 5_000, "two": 1}, ["model   small 1.2.0, one for 5,000 rows, two for 1 rows"]),
    ],
)
def test_what_ran_the_model_is_told(runtimes, said):
    lines = summary.status_lines(job(model_name="small", model_version="1.2.0", runtimes=runtimes))
    assert [line for line in lines if line.startswith("model")] == said


def test_labels_are_counted_the_commonest_first():
    counts = {f"label{n}": n for n in range(11)}
    (line,) = (text for text in summary.status_lines(job(label_counts={"ekman": counts})) if text.startswith("labels"))
    assert line == (
        "labels  label10 10, label9 9, label8 8, label7 7, label6 6, label5 5, label4 4, label3 3, others 3"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "utf-8, comma, header"),
        ({"encoding": "cp932", "delimiter": "\t", "has_header": False}, "cp932, tab, no header"),
        (
            {"delimiter": "", "quoting": False, "compression": "gzip"},
            "utf-8, one column, gzip, header, quotes are text",
        ),
        ({"delimiter": "^"}, "utf-8, delimiter '^', header"),
    ],
)
def test_what_the_file_was_taken_for(changes, said):
    found = {"encoding": "utf-8", "delimiter": ",", "has_header": True, "quoting": True, "compression": None} | changes
    assert f"read as {said}" in summary.status_lines(job(format=found))


def test_a_name_that_rings_the_bell_is_shown_harmless():
    assert "\a" not in summary.list_lines([job(filename="x\a.csv")])[1]
