"""Which server a command talks to: the one named, else the local stack, else one started for the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from core.errors import NotFound
from emobatch import local
from emobatch.client import Client
from emobatch.progress import Display


@dataclass(frozen=True)
class Where:
    """What the user said about the server. `url` None: the local stack, whose token is known."""

    url: str | None = None
    token: str | None = None

    @contextmanager
    def connect(self, display: Display, *, first: bool = False) -> Iterator[Client]:
        """A client for the length of the block.

        Args:
            display: says what takes long.
            first: the command makes sense where there is no job yet.

        Raises:
            NotInstalled: no server is named, and the local stack is not installed.
            NotFound: no server is named, and no local stack has ever run.
        """
        if self.url:
            with Client(self.url, self.token) as client:
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
                with Client(running.url, self.token or running.token) as client:
                    yield client
            finally:
                if ours:
                    with display.busy("Stopping the local stack ..."):
                        stack.close()

    def command(self, name: str, job_id: str, *more: str) -> str:
        """What a user types to come back to a job."""
        words = ["emobatch", name, job_id, *more]
        return shlex.join([*words, "--server", self.url] if self.url else words)
