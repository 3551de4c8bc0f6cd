"""Passwords: argon2id, with the parameters of OWASP's Password Storage Cheat Sheet (19 MiB, two passes, one lane).

Hashing is slow and large on purpose, so only a few run at once: a flood of sign-ins must not take the memory.
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import BadOption, Unavailable

MIN_LENGTH = 12
MAX_LENGTH = 256
"""A limit, since hashing reads all of it; far above any password that is typed."""

MAX_AT_ONCE = 4
WAIT_S = 5.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_places = threading.BoundedSemaphore(MAX_AT_ONCE)
# Hashed where there is no user: an unknown address takes as long as a wrong password.
_nobody = _hasher.hash(secrets.token_hex())


def hash_password(password: str) -> str:
    """The hash to be stored, in PHC format.

    Raises:
        BadOption: too short, too long, or one character over and over.
        Unavailable: too many are being hashed.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise BadOption(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", next_step="Some words make one.")
    if len(set(password)) < MIN_LENGTH // 2:
        raise BadOption("This password repeats a few characters.", next_step="Some words make a good one.")
    return rehash(password)


def rehash(password: str) -> str:
    """The hash of a password that was right, whatever passes for one today.

    Raises:
        Unavailable: as `hash_password`.
    """
    with _Place():
        return _hasher.hash(password)


def verify(stored: str | None, password: str) -> bool:
    """Whether the password is right. With None, nobody's hash, it takes as long and is not.

    Raises:
        Unavailable: too many are being checked.
    """
    with _Place():
        try:
            return _hasher.verify(stored or _nobody, password[: MAX_LENGTH + 1]) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def generate() -> str:
    """A password for somebody who is to choose another: 96 random bits in four words of letters and digits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


class _Place:
    def __enter__(self) -> None:
        if not _places.acquire(timeout=WAIT_S):
            raise Unavailable("Too many people are signing in.", next_step="Try again in a few seconds.")

    def __exit__(self, *_: object) -> None:
        _places.release()
