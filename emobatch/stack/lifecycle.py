"""From a data directory to a working stack and back: for ``emobatch up``, and for a job that needs one for a while."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emobatch.stack.home import Address, Home, held
from emobatch.stack.programs import EMOBATCH, Application
from emobatch.stack.stack import Stack

WATCH_S = 1.0


class RunningStack:
    """A stack that works: its `url`, and its `token` to sign in with."""

    def __init__(self, address: Address, stop: Callable[[], None]) -> None:
        self.address = address
        self.url = address.url
        self.token = address.token
        self.stop = stop
        """Stops it before the block ends, if it was started for this block."""


def running(home: Path | str | None = None) -> Address | None:
    """Where the stack of this data directory listens, or None if none is up and ready.

    Args:
        home: the data directory; by default ``EMOBATCH_HOME``, else the platform's.
    """
    return Home(home).address()


@contextmanager
def start(
    home: Path | str | None = None, *, quiet: bool = False, application: Application = EMOBATCH
) -> Iterator[RunningStack]:
    """A stack for the length of the block: the one that runs in this data directory, else one started for it.

    Jobs that start at once share one stack; who started it waits for the others before stopping it. Call it from the
    main thread, or from one that lives as long as the stack.

    Args:
        home: the data directory; by default ``EMOBATCH_HOME``, else the platform's.
        quiet: say nothing on stderr.
        application: what runs on top of the servers.

    Raises:
        EmobatchError: a part did not start; the message names it, its reason and its log.
    """
    say = _silence if quiet else _say
    place = Home(home)
    place.create()
    while True:
        use = place.lock_use()
        if address := place.address():
            with held(use):
                yield RunningStack(address, stop=lambda: None)
            return
        use.release()
        if lock := place.try_lock():
            break
    with held(lock):
        stack = Stack(place, application, say)
        try:
            yield RunningStack(stack.up(transient=True), stop=stack.down)
        finally:
            try:
                with held(place.lock_use(alone=True)):
                    place.withdraw()
            finally:
                stack.down()


def serve(
    home: Path | str | None = None, *, application: Application = EMOBATCH, say: Callable[[str], None] | None = None
) -> int:
    """``emobatch up``: runs the stack until Ctrl-C, SIGTERM or the end of the terminal, and stops it in order.

    If one is running in this data directory already, says where and returns at once.

    Args:
        home: the data directory; by default ``EMOBATCH_HOME``, else the platform's.
        application: what runs on top of the servers.
        say: takes the lines meant for the user; by default they are printed.

    Returns:
        The exit code, 0.

    Raises:
        EmobatchError: a part did not start; the message names it, its reason and its log.
    """
    say = say or _tell
    place = Home(home)
    place.create()
    patient = False
    while not (lock := place.try_lock()):
        if (address := place.address()) and not place.is_transient():
            say(f"emobatch is already running: {address.sign_in_url}")
            return 0
        if not patient:
            say("Another emobatch is using this data directory: waiting for it.")
            patient = True
    with held(lock), _signals() as ignore:
        stack = Stack(place, application, _say)
        try:
            address = stack.up(transient=False)
            say(f"emobatch is ready: {address.sign_in_url}\nCtrl-C stops it.")
            while True:
                time.sleep(WATCH_S)
                stack.mend()
        except KeyboardInterrupt:
            ignore()
            say("Stopping ...")
        finally:
            ignore()
            stack.down()
    say("Stopped.")
    return 0


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Every polite way to end us is a KeyboardInterrupt in this block, until the function given is called."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, signal.default_int_handler) for kind in kinds}

    def ignore() -> None:
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)

    try:
        yield ignore
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _tell(text: str) -> None:
    print(text, flush=True)  # Whoever reads it through a pipe waits for the address.


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _silence(text: str) -> None:
    pass
