"""As whom Postgres runs. It refuses root, and root is whom a container or a rented machine signs you in as.

For root there are two ways to be somebody else, tried in order. A user namespace shows Postgres another number while
the files stay root's; where namespaces are forbidden, as in most containers, ``nobody`` runs it, with the one
capability that opens paths under ``/root``. Neither touches the machine's list of users nor the permissions of any
folder above.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import Unavailable


@dataclass(frozen=True)
class Identity:
    """Who runs a server: words that go before its command line, and the owner that its files must have."""

    prefix: tuple[str, ...]
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Makes `folder` and all in it belong to this identity, where it does not yet."""
        if folder.stat().st_uid != self.uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def for_postgres(folder: Path) -> Identity:
    """An identity under which the programs in `folder` run and Postgres starts.

    Raises:
        Unavailable: we are root, and nothing here lets us be anybody else.
    """
    if os.geteuid() != 0:
        return Identity((), os.geteuid(), os.getegid())
    for identity in _for_root():
        if shutil.which(identity.prefix[0]) and _runs([*identity.prefix, str(folder / "postgres"), "--version"]):
            return identity
    raise Unavailable(
        "Postgres does not run as root, and this machine lets us be nobody else.",
        next_step="Run emobatch as an ordinary user, or name your own server in DATABASE_URL.",
    )


def _for_root() -> list[Identity]:
    nobody = pwd.getpwnam("nobody")  # initdb wants a user with a name.
    uid, gid = nobody.pw_uid, nobody.pw_gid
    return [
        Identity(("unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--"), 0, 0),
        Identity(
            (
                *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"),
                *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
                *("--securebits=+no_setuid_fixup", "--"),  # Else access(2), which initdb asks, knows no capabilities.
            ),
            uid,
            gid,
        ),
    ]


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
