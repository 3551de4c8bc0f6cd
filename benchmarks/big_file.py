"""A big CSV with quoted newlines through the whole local stack: rows counted, cells compared, memory watched.

    python -m benchmarks.big_file --rows 100000

Starts a stack of its own in an empty folder. Texts are made up of random words, all distinct, about 19 tokens each.
Prints rows per second and, for each process, its resident memory early, late and at most: flat means early ≈ late.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from emobatch import stack
from emobatch.client import Client

SAMPLE_S = 1.0
WORDS = (
    "the a it my this we they was is never always really quite so very good bad awful lovely broken late early staff "
    "room food phone battery screen book story delivery refund help angry happy sad afraid surprised tired grateful "
    "love hate worked stopped arrived waited called asked told bought returned again today yesterday because and but "
    "with without"
).split()


def write_file(path: Path, rows: int, seed: int) -> int:
    """Writes `rows` records, every third with a newline inside its text; the file's size in bytes."""
    random_ = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "rating"])
        for number in range(1, rows + 1):
            words = random_.choices(WORDS, k=random_.randint(6, 26))
            if number % 3 == 0:
                words[len(words) // 2] = '\nand "then"'
            writer.writerow([number, f"{' '.join(words)} {number}", random_.randint(1, 5)])
    return path.stat().st_size


def processes(home: Path) -> dict[str, int]:
    """Resident bytes of the stack's processes by what they are, the largest of each kind."""
    found: dict[str, int] = defaultdict(int)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            pages = int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        if str(home).encode() not in environment and str(home) not in command:
            continue
        kinds = {"gunicorn": "web", "spawn_main": "worker child", "celery": "worker parent", "valkey": "redis"}
        kind = next((kind for mark, kind in kinds.items() if mark in command), None)
        if kind:
            found[kind] = max(found[kind], pages * os.sysconf("SC_PAGE_SIZE"))
    return found


def check(source: Path, labelled: Path) -> tuple[int, int]:
    """Rows of the labelled file, and how many differ from the source in their own cells or lack a status."""
    rows = wrong = 0
    with source.open(newline="", encoding="utf-8") as one, labelled.open(newline="", encoding="utf-8") as other:
        for old, new in zip(csv.reader(one), csv.reader(other), strict=True):
            rows += 1
            wrong += new[: len(old)] != old or not new[-1]
    return rows - 1, wrong


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_file", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, source, labelled = (Path(folder) / name for name in ("home", "big.csv", "big.labelled.csv"))
        size = write_file(source, options.rows, options.seed)
        print(f"{options.rows:,} rows, {size / 1e6:.1f} MB")
        samples: list[dict[str, int]] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(SAMPLE_S):
                samples.append(processes(home))

        with stack.start(home, quiet=True) as running, Client(running.url, running.token) as client:
            threading.Thread(target=watch, daemon=True).start()
            began = time.monotonic()
            accepted = client.create_job(source, text_column="text")
            uploaded = time.monotonic() - began
            job = client.wait(accepted.id)
            done = time.monotonic() - began
            client.download_to(accepted.id, labelled)
            downloaded = time.monotonic() - began - done
            over.set()
        rows, wrong = check(source, labelled)
    print(f"{job.state}: {rows:,} rows out, {wrong} wrong; ok {job.rows_ok:,}, failed {job.rows_failed:,}")
    print(
        f"upload {uploaded:.1f} s, labelled after {done:.1f} s ({rows / done:.0f} rows/s), download {downloaded:.1f} s"
    )
    report(samples)


def report(samples: list[dict[str, int]]) -> None:
    """Prints resident memory of each kind of process: a tenth into the run, at its end, and the most."""
    print(f"{'resident MB':14}{'early':>8}{'late':>8}{'most':>8}")
    for kind in sorted({kind for sample in samples for kind in sample}):
        series = [sample[kind] / 1e6 for sample in samples if kind in sample]
        print(f"{kind:14}{series[len(series) // 10]:8.0f}{series[-1]:8.0f}{max(series):8.0f}")


if __name__ == "__main__":
    main()
