"""Secrets that come in files, as Docker and Kubernetes hand them out: ``NAME_FILE`` names the file that holds ``NAME``.

A variable of the environment shows in `docker inspect` and in every child process; a file shows to who may read it.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from core.errors import BadOption

SUFFIX = "_FILE"


def read_secret(name: str) -> str | None:
    """The variable `name`, else what is in the file that ``<name>_FILE`` names; None: neither is set.

    Raises:
        BadOption: the file cannot be read.
    """
    if given := os.environ.get(name):
        return given
    path = os.environ.get(name + SUFFIX)
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(
            f"The file that {name}{SUFFIX} names cannot be read: {path} ({type(error).__name__}).",
            next_step="Check that it is there and that this process' user may read it.",
        ) from error


def with_password(url: str, password: str) -> str:
    """The URL of a server, signed in with `password` where it has none of its own."""
    parts = urlsplit(url)
    if not password or parts.password:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
