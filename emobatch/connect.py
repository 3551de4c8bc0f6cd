"""Which server a command talks to: the one named, else the local stack, else one started for the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from core.errors import NotFound
from emobatch import local
from emobatch.client import Client
from emobatch.progress import Display


@contextmanager
def connect(server: str | None, token: str | None, display: Display, *, first: bool = False) -> Iterator[Client]:
    """A client for the length of the block.

    Args:
        server: address, or None: the local stack.
        token: for a server; the local stack's is known.
        display: says what takes long.
        first: the command makes sense where there is no job yet.

    Raises:
        NotInstalled: no server is named, and the local stack is not installed.
        NotFound: no server is named, and no local stack has ever run.
    """
    if server:
        with Client(server, token) as client:
            yield client
        return
    local.check_installed()
    if not first and not local.has_jobs():
        raise NotFound(
            f"There are no jobs in {local.data_directory()}.",
            next_step="Label a file with `emobatch label FILE`, or name a server with --server.",
        )
    ours = not local.is_running()
    with ExitStack() as stack:
        if ours:
            with display.busy("Starting the local stack ..."):
                running = stack.enter_context(local.start())
        else:
            running = stack.enter_context(local.start())
        try:
            with Client(running.url, token or running.token) as client:
                yield client
        finally:
            if ours:
                with display.busy("Stopping the local stack ..."):
                    stack.close()
