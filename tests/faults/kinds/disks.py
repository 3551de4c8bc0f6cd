"""Disks that fill up, under uploads, under Postgres, under logs: small tmpfs mounts, which only root can make."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import httpx

from tests.faults.corpus import corpus
from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.trial import Feed, Trial

BALLAST = "ballast"


def _fill(folder: Path) -> Path:
    """Takes all the space that is left in a folder's file system."""
    ballast = folder / BALLAST
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(64 * 1024)):
                pass
        except OSError:
            return ballast
    return ballast


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != BALLAST]


def uploads(trial: Trial) -> None:
    """The storage folder has no room: an upload is refused, leaves nothing, and is taken when there is room again."""
    ground = trial.ground
    made = corpus(5_000)
    reference = trial.reference(made)
    ground.workers(1)
    ids = []
    before = len(_files(ground.storage))  # that of the undisturbed run, if it was done here
    while trial.outcome.count < trial.count:
        ballast = _fill(ground.storage)
        answer = httpx.post(
            f"{ground.url}/api/v1/jobs?text_column=text",
            content=made.data,
            headers={"Authorization": f"Bearer {ground.token}", "Content-Type": "text/csv"},
            timeout=30,
        )
        if answer.status_code not in (503, 507) or (answer.status_code == 503 and "Retry-After" not in answer.headers):
            trial.problem(f"an upload without room was answered {answer.status_code}")
        with ground.database() as database:
            until(
                lambda: database.execute("SELECT count(*) FROM upload WHERE state <> 'stored'").fetchone() == (0,),
                "the refused upload is gone",
            )
        if left := len(_files(ground.storage)) - before - len(ids):
            trial.problem(f"{left} files are left of refused uploads")
        ballast.unlink()
        began = time.monotonic()
        trial.outcome.count += 1
        ids.append(trial.upload(made))
        trial.wait(ids[-1:])
        trial.outcome.recovered += 1
        trial.outcome.worst_s = max(trial.outcome.worst_s, time.monotonic() - began)
        trial.judge(ids[-1], made, reference)


def postgres(trial: Trial) -> None:
    """Postgres' disk is full: web says 503, and work goes on when there is room again."""
    ground = trial.ground
    feed = Feed(trial, 40_000)
    ground.workers(2, rows_per_s=1_000)
    made = corpus(50)
    told: list[int] = []

    def fill_for_a_while() -> None:
        ballast = _fill(ground.home.postgres.parent)
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            try:
                answer = httpx.post(
                    f"{ground.url}/api/v1/jobs?text_column=text&filename=small.csv",
                    content=made.data,
                    headers={"Authorization": f"Bearer {ground.token}", "Content-Type": "text/csv"},
                    timeout=60,
                )
                told.append(answer.status_code)
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        ballast.unlink()

    while trial.outcome.count < trial.count:
        feed.busy(120)
        trial.strike(fill_for_a_while, 90)
        trial.pause(1, 2)
    feed.finish()
    trial.outcome.notes["web answered"] = {str(code): told.count(code) for code in sorted(set(told))}
    if 500 in told:
        trial.problem(f"web answered 500 {told.count(500)} times")
    if 503 not in told and 507 not in told:
        trial.problem("the disk was never full enough to be noticed")


def logs(trial: Trial) -> None:
    """The logs' disk is full: nobody can write a line, workers that restart neither, and work goes on all the same."""
    ground = trial.ground
    feed = Feed(trial, 40_000)
    ground.workers(2, rows_per_s=1_000)
    made = corpus(50)

    def fill() -> None:
        _fill(ground.home.run)
        answer = httpx.post(
            f"{ground.url}/api/v1/jobs?text_column=text&filename=small.csv",
            content=io.BytesIO(made.data).read(),
            headers={"Authorization": f"Bearer {ground.token}", "Content-Type": "text/csv"},
            timeout=60,
        )
        if answer.status_code not in (202, 503, 507):
            trial.problem(f"web answered {answer.status_code} while logs cannot be written")

    while trial.outcome.count < trial.count:
        feed.busy(120)
        trial.strike(fill, 30)
        trial.pause(2, 3)
        (ground.home.run / BALLAST).unlink(missing_ok=True)
        trial.pause(0.5, 1)
    feed.finish()


def _kind(name: str, title: str, run: object, tmpfs: dict[str, str]) -> Kind:
    return Kind(name, title, 5, 300, run, {"tmpfs": tmpfs}, sampled=False, root=True)  # type: ignore[arg-type]


ROOT = os.geteuid() == 0

KINDS = [
    _kind("disk-uploads", "disk full under uploads", uploads, {"storage": "4m"}),
    _kind("disk-postgres", "disk full under Postgres", postgres, {".": "700m"}),
    _kind("disk-logs", "disk full under logs", logs, {"run": "3m"}),
]
