"""What it takes to open a workbook or a Parquet file: processor time and memory by the million cells.

``python -m benchmarks.reading``. The limits in `core.settings` come from this: a worker opens such a file in a process
of its own, which may take so much memory and no more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from benchmarks import single
from benchmarks.corpus import sentences
from benchmarks.group import Group
from benchmarks.interleaved import Figure, rounds
from benchmarks.single import Trial
from worker.conversion.supervise import environment
from worker.conversion.task import Task

SMALL, LARGE = 250_000, 1_000_000
ROUNDS = 5
MEBIBYTE = 2**20
SAMPLE_S = 0.01

HOW = (
    f"Tables of {SMALL:,} and of {LARGE:,} cells in four columns: a number, a text of one to two sentences (each "
    "different), a number with decimals, one of five words. Each is opened by the worker's own conversion process, "
    f"without its limits, {ROUNDS} times in turns, its CSV thrown away. By the million cells: the larger file less the "
    "smaller one, over the cells between them. Memory is that which the limit counts (VmData of Linux, looked at a "
    "hundred times a second, at most); what the process takes before it has read a cell is reported by itself. "
    "'Shared strings' is how spreadsheet programs write a workbook, 'inline strings' how most libraries do that stream."
)


@dataclass(frozen=True)
class Run:
    """One file opened: processor seconds, and bytes of data at most."""

    seconds: float
    data: int


def opened(source: str, path: Path) -> Run:
    """Opens a file as a worker does."""
    with path.open("rb") as upload, Path(os.devnull).open("wb") as nowhere:
        task = Task(
            source=source,
            upload=upload.fileno(),
            report=nowhere.fileno(),
            sheet=None,
            memory=2**40,
            seconds=3600,
            max_unpacked=2**40,
            max_ratio=10_000,
            max_columns=100,
            max_rows=10_000_000,
        )
        before = os.times()
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.conversion", json.dumps(asdict(task))],
            stdin=subprocess.DEVNULL,
            stdout=nowhere,
            pass_fds=(task.upload, task.report),
            env=environment(),
        )
        most = 0
        over = threading.Event()

        def watch() -> None:
            nonlocal most
            while not over.wait(SAMPLE_S):
                most = max(most, _data(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        over.set()
        watcher.join()
        after = os.times()
    if code:
        raise RuntimeError(f"The conversion of {path.name} ended with {code}.")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(spent, most)


def _data(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmData:")), 0)


Row = tuple[int, str, float, str]


def _rows(trial: Trial, cells: int) -> list[Row]:
    made = sentences(trial.corpus.texts(1_000), trial.seed)
    words = ("red", "green", "blue", "white", "black")
    return [(n, f"{next(made)} {n}", n * 0.37, words[n % 5]) for n in range(cells // 4)]


def _workbook(path: Path, rows: list[Row], *, inline: bool) -> Path:
    with xlsxwriter.Workbook(str(path), {"constant_memory": inline}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "text", "price", "colour"])
        for at, row in enumerate(rows, start=1):
            sheet.write_row(at, 0, row)
    return path


def _parquet(path: Path, rows: list[Row]) -> Path:
    names = ("id", "text", "price", "colour")
    table = pa.table(dict(zip(names, map(pa.array, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, path, compression="snappy")
    return path


def measure(trial: Trial) -> Group:
    """Every kind of file in two sizes, in turns."""
    group = Group("reading", "Opening workbooks and Parquet files", HOW)
    kinds: dict[str, tuple[str, str, Callable[[Path, list[Row]], Path]]] = {
        "shared": ("xlsx", "workbook, shared strings", lambda path, rows: _workbook(path, rows, inline=False)),
        "inline": ("xlsx", "workbook, inline strings", lambda path, rows: _workbook(path, rows, inline=True)),
        "parquet": ("parquet", "Parquet, one row group", _parquet),
    }
    sizes = {"small": trial.size(SMALL, 4_000), "large": trial.size(LARGE, 16_000)}
    files: dict[tuple[str, str], Path] = {}
    empty: dict[str, Path] = {}
    for size, cells in sizes.items():
        rows = _rows(trial, cells)
        for kind, (source, _, write) in kinds.items():
            files[kind, size] = write(trial.path(f"{kind}-{size}.{source}"), rows)
            empty.setdefault(kind, write(trial.path(f"{kind}-empty.{source}"), rows[:1]))
    seen: dict[tuple[str, str], list[Run]] = {}

    def turn(kind: str, size: str, path: Path) -> Callable[[], float]:
        def once() -> float:
            run = opened(kinds[kind][0], path)
            seen.setdefault((kind, size), []).append(run)
            return run.seconds

        return once

    turns = {f"{kind} {size}": turn(kind, size, path) for (kind, size), path in files.items()}
    turns |= {f"{kind} empty": turn(kind, "empty", path) for kind, path in empty.items()}
    began = time.perf_counter()
    rounds(turns, ROUNDS, say=trial.say)
    millions = (sizes["large"] - sizes["small"]) / 1_000_000
    for kind, (_, words, _) in kinds.items():
        # The first runs warmed the disk's cache; all count, and the median is reported.
        small, large, none = (seen[kind, size][-ROUNDS:] for size in ("small", "large", "empty"))
        pairs = list(zip(small, large, strict=True))
        cpu = Figure.of((two.seconds - one.seconds) / millions for one, two in pairs)
        data = Figure.of((two.data - one.data) / millions / MEBIBYTE for one, two in pairs)
        group.add(f"{kind}_s", f"{words}: processor time, a million cells", cpu, "s")
        group.add(f"{kind}_mib", f"{words}: memory, a million cells", data, "MiB")
        group.add(f"{kind}_base_mib", f"{words}: memory before", Figure.of(run.data / MEBIBYTE for run in none), "MiB")
        packed = files[kind, "large"].stat().st_size / (sizes["large"] / 1_000_000) / MEBIBYTE
        group.add(f"{kind}_file_mib", f"{words}: the file, a million cells", Figure.of([packed]), "MiB")
    group.notes.append(f"{time.perf_counter() - began:.0f} s of opening")
    return group


if __name__ == "__main__":
    sys.exit(single.run("reading", "What it takes to open a workbook or a Parquet file.", {"reading": measure}))
