"""A contestant in a process of its own, made there once and kept warm: no contestant meets another's threads."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

_STDOUT, _STDERR = 1, 2


class RemoteError(RuntimeError):
    """What a contestant raised, in a line; its traceback is on stderr."""


class Remote:
    """An object in another process, whose methods are called from here, one at a time.

    Args:
        factory: a class or function that can be imported; it makes the object, there.
        arguments: its positional arguments.
        cores: the only cores that process may use; None: all of ours.

    Raises:
        RemoteError: the object could not be made, or a call of it raised.
    """

    def __init__(self, factory: Callable[..., Any], *arguments: Any, cores: Iterable[int] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        fixed = None if cores is None else sorted(cores)
        self._process = context.Process(target=_serve, args=(theirs, factory, arguments, fixed), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def call(self, method: str, *arguments: Any) -> Any:
        """What the object's method returns."""
        self._connection.send((method, arguments))
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join(30)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _answer(self) -> Any:
        try:
            well, answer = self._connection.recv()
        except EOFError:
            raise RemoteError("The contestant's process ended without an answer.") from None
        if not well:
            raise RemoteError(answer)
        return answer


def _serve(
    connection: Connection, factory: Callable[..., Any], arguments: tuple[Any, ...], cores: list[int] | None
) -> None:
    os.dup2(_STDERR, _STDOUT)  # Stdout is for results, and libraries like to talk.
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        made = factory(*arguments)
        connection.send((True, None))
    except Exception as error:
        connection.send((False, _told(error)))
        return
    while True:
        try:
            method, given = connection.recv()
        except EOFError:
            return
        try:
            connection.send((True, getattr(made, method)(*given)))
        except Exception as error:
            connection.send((False, _told(error)))


def _told(error: Exception) -> str:
    """The error in a line; the rest goes to stderr."""
    traceback.print_exception(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
