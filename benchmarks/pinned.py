"""A command kept on one core: ``python -m benchmarks.pinned 0 celery ...`` becomes that command, pinned to core 0."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> None:
    """Replaces this process by the command after the core's number."""
    core, command = int(arguments[0]), arguments[1:]
    os.sched_setaffinity(0, {core})
    os.execvp(command[0], command)  # noqa: S606 - the caller's own command


if __name__ == "__main__":
    main(sys.argv[1:])
