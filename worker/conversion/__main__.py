"""The process that opens a workbook or a Parquet file: ``python -m worker.conversion`` with a JSON object of `Task`.

CSV goes to stdout, the report to a file that it inherits. It starts with as little as it can, and ends by itself.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import EmobatchError, InputError, LimitExceeded
from worker.conversion.rows import Rows
from worker.conversion.task import NAMES, Task


def open_rows(task: Task) -> Rows:
    """The rows of the task's file. The libraries are loaded here, under the limits."""
    if task.source == "parquet":
        from worker.conversion.parquet import parquet_rows

        return parquet_rows(task.upload, max_unpacked=task.max_unpacked, max_rows=task.max_rows)
    from worker.conversion.workbook import workbook_rows

    return workbook_rows(
        task.upload, task.sheet, max_unpacked=task.max_unpacked, max_ratio=task.max_ratio, memory=task.memory
    )


def run(task: Task) -> dict[str, Any]:
    """Writes the file as CSV to stdout; what there is to report."""
    try:
        rows = open_rows(task)
        # With CRLF a lone CR in a cell is quoted too.
        out = os.fdopen(1, "w", encoding="utf-8", errors="replace", newline="", buffering=1024 * 1024)
        writer = csv.writer(out, lineterminator="\r\n")
        width = 0
        for n_rows, row in enumerate(rows, start=1):
            if len(row) > width:
                width = len(row)
                if width > task.max_columns:
                    raise LimitExceeded(
                        f"The table has {width:,} columns; {task.max_columns:,} are allowed.",
                        next_step="Remove columns.",
                    )
            if n_rows > task.max_rows + 1:
                raise LimitExceeded(
                    f"The table has more than {task.max_rows:,} rows.", next_step="Split it and upload the parts."
                )
            writer.writerow(row)
        out.flush()
        return rows.report()
    except EmobatchError as error:
        return {"error": error.to_dict()}
    except MemoryError:
        return {"memory": True}


def main() -> None:
    """Takes the task from the command line, and limits this process to what it allows."""
    task = Task(**json.loads(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (task.seconds, task.seconds + 5))
    with suppress(OSError):  # elsewhere than on Linux
        Path("/proc/self/oom_score_adj").write_text("1000")  # if somebody must go, then not the worker
    # Of data, not of addresses: libraries reserve many more of those than they use. macOS takes no notice of it.
    resource.setrlimit(resource.RLIMIT_DATA, (task.memory, task.memory))
    try:
        report = run(task)
    except ImportError:
        problem = InputError(
            f"This installation reads no {NAMES[task.source]}s: {_LIBRARIES[task.source]} is not installed.",
            next_step="Send it as CSV, or have emobatch[worker,parquet] installed where the workers are.",
        )
        report = {"error": problem.to_dict()}
    except BrokenPipeError:  # nobody wants it any more
        os._exit(0)
    except Exception as error:  # whatever a library says about a file that is damaged
        problem = InputError(
            f"The file cannot be read: it is damaged, or no {NAMES[task.source]} ({type(error).__name__}).",
            next_step="Open it in the program it comes from, save it anew, and send that; or save it as CSV.",
        )
        report = {"error": problem.to_dict()}
    os.write(task.report, json.dumps(report).encode())
    # No tidying up: what a hostile file left in a library's hands is not touched again.
    sys.stdout.flush()
    os._exit(0)


_LIBRARIES = {"xlsx": "python-calamine", "parquet": "pyarrow"}

if __name__ == "__main__":
    main()
