"""How a command ends: what is said on stderr, and with which exit code. Never a traceback, unless asked for."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from core.errors import (
    Conflict,
    EmobatchError,
    InputError,
    LimitExceeded,
    NotFound,
    NotReady,
    NotSignedIn,
    UploadDamaged,
)
from emobatch import local
from emobatch.errors import NotInstalled


class ExitCode(IntEnum):
    """What a script may rely on."""

    DONE = 0  # and no row failed
    FAILED = 1  # anything that is none of the others
    MISTAKE = 2  # the user's: stderr says what, where, and what to do next
    ROWS_FAILED = 3  # done, but some rows failed; the output names them
    INTERRUPTED = 130  # Ctrl-C, as shells count it


_MISTAKES = (InputError, LimitExceeded, NotFound, NotReady, NotSignedIn, Conflict, NotInstalled)


def exit_code(error: EmobatchError) -> ExitCode:
    """Whose fault it was."""
    if isinstance(error, UploadDamaged):  # An InputError, but the bytes changed on the server's side.
        return ExitCode.FAILED
    return ExitCode.MISTAKE if isinstance(error, _MISTAKES) else ExitCode.FAILED


def say(error: EmobatchError, file: str = "") -> str:
    """What, where, what next: a line each, the last two only where they are known.

    Args:
        error: what went wrong.
        file: the user's file, named where the error is about its contents.
    """
    where = ", ".join(filter(None, (file if isinstance(error, InputError) else "", error.where)))
    lines = [("Error: ", error.what), ("  where ", where), ("  next  ", error.next_step)]
    return "\n".join(head + text for head, text in lines if text)


def say_surprise(error: Exception) -> str:
    """What is said of an error that nobody foresaw: one line, and where the rest is."""
    if isinstance(error, OSError) and error.strerror:  # The disk is full, a file went away: the system says it best.
        place = f"{error.filename}: " if error.filename else ""
        return f"Error: {place}{error.strerror}."
    log = _write_down(error)
    rest = f"The details are in {log}." if log else "Run it again with --debug for the details."
    return f"Error: {type(error).__name__}: {error}. This is a fault of emobatch. {rest}"


def _write_down(error: BaseException) -> Path | None:
    """Adds a traceback to the CLI's log, readable by its owner alone; None if no log can be written."""
    folder = local.log_folder()
    path = folder / "cli.log"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n")
            log.write("".join(traceback.format_exception(error)))
    except OSError:
        return None
    return path
