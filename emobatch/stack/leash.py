"""Runs supervisord on a leash: when the process that started it dies, however it dies, the stack stops in order.

``python -m emobatch.stack.leash PARENT_PID [supervisord's arguments]``. Linux alone can tie a process so; elsewhere a
stack whose owner was killed runs on until the next start stops it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie_to_parent(parent: int) -> None:
    """Asks the kernel for a SIGTERM when the parent dies; exits if it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The process that was to own this stack is gone.")


if __name__ == "__main__":
    tie_to_parent(int(sys.argv[1]))
    from supervisor.supervisord import main

    main(sys.argv[2:])
