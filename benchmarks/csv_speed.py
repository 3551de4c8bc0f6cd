"""(g) How fast a CSV comes in and goes out, on one core."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure, rounds
from benchmarks.memory import MEGABYTE
from benchmarks.plan import Plan
from benchmarks.remote import Remote
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, cores_of_machine, started
from core.ledger import IngestLease, Source
from core.settings import Settings
from core.states import IngestState
from core.storage import open_storage
from core.table import Format
from worker.ingest import cut_slice

ROWS = 1_000_000
JOB_ROWS = 300_000
KEY = "uploads/benchmark"

HOW = (
    "Rows of 99 bytes (id, text, rating). Cutting: `worker.ingest.cut_slice` over a file in a storage folder, slice by "
    "slice as a worker does, in a process kept on one core. Through web: a whole stack with the null engine kept on "
    "one core, so that its servers share that core; the client has another one, if there is one. Upload: until the "
    "server has answered; download: the finished job's labelled CSV with the default columns."
)


class Cutting:
    """The worker's cutter on one file in a storage folder of its own."""

    def __init__(self, source: str, folder: str) -> None:
        self._settings = Settings(database_url="unused", redis_url="unused", storage_url="unused")  # type: ignore[arg-type]
        self._storage = open_storage(Path(folder).as_uri())
        with self._storage.stage(KEY) as staged, Path(source).open("rb") as file:
            while block := file.read(2**20):
                staged.write(block)
            self._storage.commit(staged)
        found = Format(None, "utf-8", ",", True, "\n", True, ("id", "text", "rating"))
        place = Source(uuid.uuid4(), uuid.uuid4(), KEY, KEY, found.to_dict(), 1, "")
        self._lease = IngestLease(place, 1, IngestState.CUTTING, 0, 1, 1, 0, 1, uuid.uuid4())

    def cut(self) -> tuple[float, int]:
        """Seconds for the whole file, and its rows."""
        began = time.perf_counter()
        lease, done = self._lease, False
        while not done:
            cut = cut_slice(self._storage, lease, self._settings, [])
            lease = replace(lease, offset=cut.offset, row=cut.row, line=cut.line)
            done = cut.finished
        return time.perf_counter() - began, lease.row - 1

    def resident(self) -> int:
        """Bytes of this process that are in memory."""
        return psutil.Process().memory_info().rss


def measure(plan: Plan) -> Group:
    """Cutting and the web's two directions, in turns."""
    group = Group("g", "Ingest and CSV download on one core, rows of 99 bytes", HOW)
    rows, job_rows = plan.size(ROWS, 10_000), plan.size(JOB_ROWS, 10_000)
    source = write_rows_of_99_bytes(plan.path("g.csv"), rows)
    job_source = write_rows_of_99_bytes(plan.path("g.job.csv"), job_rows)
    target, store = plan.path("g.labelled.csv"), plan.path("g.store")
    core = cores_of_machine()[:1]
    plan.say(f"(g) {rows:,} rows cut, {job_rows:,} rows through web, {plan.rounds} rounds")
    with (
        Remote(Cutting, str(source), str(store), cores=core) as cutting,
        started(MEMORY_OFF | NULL_MODEL, cores=core, warm_with=plan.corpus.texts(100)) as running,
    ):
        job = running.label(job_source, target).job
        web: list[float] = []

        def upload() -> float:
            began = time.perf_counter()
            accepted = running.client.create_job(job_source, text_column="text")
            seconds = time.perf_counter() - began
            running.client.cancel(accepted.id)
            return seconds

        def download() -> float:
            before, began = running.cpu_seconds()["web"], time.perf_counter()
            running.client.download_to(job.id, target)
            seconds = time.perf_counter() - began
            web.append(running.cpu_seconds()["web"] - before)
            return seconds

        turns = {"cut": lambda: cutting.call("cut")[0], "upload": upload, "download": download}
        found = rounds(turns, plan.rounds, say=plan.say)
        resident = Figure.of([cutting.call("resident") / MEGABYTE])
    cut, up, down = (Figure.of(found[name]) for name in ("cut", "upload", "download"))
    group.add("cut_rows_per_s", "cutting into chunks", cut.rate(rows), "rows/s", at_least(200_000))
    group.add("cut_rss", "memory of the process that cuts, afterwards", resident, "MB", at_most(150))
    group.add("upload_rows_per_s", "upload through web", up.rate(job_rows), "rows/s")
    group.add("download_rows_per_s", "CSV download through web", down.rate(job_rows), "rows/s", at_least(100_000))
    cpu = Figure.of(web[-plan.rounds :])
    group.add("download_rows_per_cpu_s", "CSV download, a second of web's own", cpu.rate(job_rows), "rows/s")
    return group
