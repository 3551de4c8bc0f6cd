"""One kind of fault tried out: jobs that keep the ground busy, faults one after another, and the count of it all."""

from __future__ import annotations

import io
import math
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from core.model_directory import ModelDirectory, shipped_model_path
from emobatch.client import Client
from emobatch.job import View
from tests.faults.corpus import Corpus, corpus
from tests.faults.ground import NULL, Ground, Stuck, until
from tests.faults.oracle import Verdict, judge
from tests.faults.watch import Watch

OWN_LABELS = View(taxonomy="goemotions", scores="all")
"""All that the model said, for runs with the real one."""


@dataclass
class Outcome:
    """What became of a kind's faults."""

    kind: str
    due: int
    seed: int
    count: int = 0
    recovered: int = 0
    """Faults after which work went on by itself, or that were answered as they must be."""
    worst_s: float = 0.0
    """The longest from a fault to the next progress."""
    lost: int = 0
    duplicated: int = 0
    jobs: int = 0
    rows: int = 0
    reruns: int = 0
    most_leases: int = 0
    overdue_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every fault due was tried and nothing is wrong."""
        return not self.problems and self.count >= self.due and self.recovered >= self.due

    def add(self, verdict: Verdict) -> None:
        """Takes in what the oracle said of a job."""
        self.jobs += 1
        self.rows += verdict.rows
        self.lost += verdict.lost
        self.duplicated += verdict.duplicated
        self.reruns += verdict.reruns
        self.most_leases = max(self.most_leases, verdict.most_leases)
        self.problems += [f"job {verdict.job_id}: {problem}" for problem in verdict.problems]

    def to_dict(self) -> dict[str, Any]:
        """For the campaign's file."""
        return asdict(self) | {"ok": self.ok}


class Trial:
    """What a kind works with.

    Args:
        count: how many faults are due.
        references: a folder where undisturbed outputs are kept for other kinds.
    """

    def __init__(self, kind: str, count: int, seed: int, references: Path, ground: Ground, watch: Watch) -> None:
        self.ground = ground
        self.watch = watch
        self.count = count
        self.random = Random(f"{kind} {seed}")
        self.outcome = Outcome(kind, count, seed)
        self._references = references
        self._real = ground.engine != NULL

    # --- jobs -------------------------------------------------------------------------------------------------

    def reference(self, made: Corpus) -> bytes:
        """The output of an undisturbed run, done now if nobody has done it yet. Start workers after it, not before."""
        path = self._references / f"{made.name}{'-real' if self._real else ''}.csv"
        if not path.exists():
            self.ground.workers(1, environment={"EMOBATCH_LEASE_S": "30"})
            job_id = self.upload(made)
            self.wait([job_id])
            data = self.output(job_id)
            with self.ground.database() as database:
                verdict = judge(ids=made.ids, output=data, reference=data, database=database, job_id=job_id)
            if verdict.problems or verdict.reruns:
                raise Stuck(f"The undisturbed run is disturbed: {verdict}")
            # Whole or not at all: a kind in the other lane may want it too.
            made_here = path.with_name(f"{path.name}.{os.getpid()}")
            made_here.write_bytes(data)
            made_here.replace(path)
        return path.read_bytes()

    def upload(self, made: Corpus) -> str:
        """Uploads a file; the job's id."""
        return self.ground.client.create_job(io.BytesIO(made.data), filename=f"{made.name}.csv", text_column="text").id

    def state(self, job_id: str) -> str:
        """A job's state, as the ledger has it."""
        with self.ground.database() as database:
            row = database.execute("SELECT state FROM job WHERE id = %s", [job_id]).fetchone()
        return row[0] if row else "gone"

    def wait(self, job_ids: Collection[str], seconds: float = 180) -> None:
        """Returns when all these jobs are over.

        Raises:
            Stuck: one is not, in time.
        """
        for job_id in job_ids:
            try:
                self.ground.client.wait(job_id, timeout_s=seconds)
            except TimeoutError as error:
                raise Stuck(str(error)) from error

    def output(self, job_id: str, client: Client | None = None) -> bytes:
        """The labelled file, asked for by another `client` than the patient one, if given."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "out.csv"
            (client or self.ground.client).download_to(job_id, target, OWN_LABELS if self._real else None)
            return target.read_bytes()

    def judge(self, job_id: str, made: Corpus, reference: bytes, **more: Any) -> Verdict:
        """The oracle's word on a finished job, taken into the outcome."""
        with self.ground.database() as database:
            verdict = judge(
                ids=made.ids,
                output=self.output(job_id),
                reference=reference,
                database=database,
                job_id=job_id,
                exact=not self._real,
                thresholds=_thresholds() if self._real else None,
                **more,
            )
        self.outcome.add(verdict)
        return verdict

    # --- faults -----------------------------------------------------------------------------------------------

    def problem(self, text: str) -> None:
        """Something is not as it must be."""
        self.outcome.problems.append(text)

    def strike(self, inject: Callable[[], Any], within_s: float = 60.0) -> float | None:
        """Injects one fault and waits until work goes on; seconds that took, None if it did not within `within_s`."""
        began = time.monotonic()
        inject()
        self.outcome.count += 1
        after = self.watch.look()
        took = self.watch.goes_on(after, began, within_s)
        if took is None and not self.watch.active:
            self.outcome.count -= 1  # The job ended just then: this one hit nothing, and is not counted.
        elif took is None:
            self.problem(f"fault {self.outcome.count}: no progress within {within_s:g} s")
        else:
            self.outcome.recovered += 1
            self.outcome.worst_s = max(self.outcome.worst_s, took)
        return took

    def pause(self, least_s: float, most_s: float) -> None:
        """Leaves the ground alone for a random while."""
        time.sleep(self.random.uniform(least_s, most_s))


class Feed:
    """Jobs over one file, one after another, so that there is always one to disturb."""

    def __init__(self, trial: Trial, rows: int, seed: int = 0) -> None:
        self._trial = trial
        self.made = corpus(rows, seed)
        self._reference = trial.reference(self.made)
        self.jobs: list[str] = []

    def busy(self, seconds: float = 60) -> None:
        """Returns when a job is in the middle of being worked on, which is uploaded if need be."""
        watch = self._trial.watch
        before = watch.look()
        uploaded_at = -math.inf

        def worked_on() -> bool:
            nonlocal uploaded_at
            # The last one may end while it is waited for; a new one is seen within some looks.
            if not watch.active and time.monotonic() > uploaded_at + 1:
                self.jobs.append(self._trial.upload(self.made))
                uploaded_at = time.monotonic()
            return watch.active > 0 and watch.progress > before

        until(worked_on, "a job is worked on", seconds)

    def finish(self, seconds: float = 240) -> list[Verdict]:
        """Waits for the jobs' ends and has each judged."""
        trial = self._trial
        trial.wait(self.jobs, seconds)
        verdicts = [trial.judge(job_id, self.made, self._reference) for job_id in self.jobs]
        trial.outcome.overdue_s = round(trial.watch.overdue_s, 2)
        return verdicts


@contextmanager
def ground_and_watch(folder: Path, **changes: Any) -> Iterator[tuple[Ground, Watch]]:
    """A ground that is watched."""
    with Ground(folder, **changes) as ground, Watch(ground.admin_url) as watch:
        yield ground, watch


def _thresholds() -> dict[str, float]:
    taxonomy = ModelDirectory.load(shipped_model_path()).taxonomies["goemotions"]
    return dict(zip(taxonomy.labels, map(float, taxonomy.thresholds), strict=True))
