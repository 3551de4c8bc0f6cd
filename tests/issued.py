"""Every secret that the product issues while tests run is written down here, in memory, for `tests.sweep` to look for.

In the tests' own process the functions that issue are wrapped. What a web of another process issues is read from the
answers that `httpx` and the browser get, what a command prints from its output, each by the product's own format.

What counts: the secret part of API keys, passwords (made or set), signatures of session cookies, secrets of webhooks.
Not an installation's own secrets and its access token, which lie in its home by design, nor a session's id, which is
worth nothing without the signature. A random secret is looked for by its beginning, so that one cut short is found as
well; a password that somebody chose only as a whole, since its beginning may be any words.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import httpx
import pytest
from werkzeug.wrappers import Response

from core import keys, passwords, webhooks
from emobatch.stack.home import Home
from tests.needles import SHORTEST

COOKIE = re.compile(r"^(?:__Host-)?emobatch_[0-9a-f]{8}$")
PRINTED = {
    "API key": re.compile(r"emo_[0-9a-f]{32}_([\w-]{43})"),
    "webhook's secret": re.compile(r"whsec_([A-Za-z0-9+/]{43}=)"),
    "password": re.compile(r"(?<![\w-])((?:[a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5})(?![\w-])"),
}


@dataclass
class Issued:
    """What was issued, by the bytes to look for: the kind of secret, and the test during which it was."""

    marks: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """How many secrets of each kind."""
    homes: set[Home] = field(default_factory=set)
    """Data directories that were made in this process."""

    def note(self, kind: str, secret: str, *, chosen: bool = False) -> None:
        """Writes a secret down; as somebody `chosen` it, it is looked for as a whole."""
        mark = secret.encode()
        if len(mark) < SHORTEST:  # the product takes no such password; a test that asks for the hash of one may
            return
        mark = mark if chosen else mark[:SHORTEST]
        if mark in self.marks:
            return
        self.counts[kind] += 1
        self._note(kind, mark)
        if kind == "webhook's secret":
            self._note(kind, base64.b64decode(secret))  # a column of bytes would hold it so

    def note_cookie(self, name: str, value: str) -> None:
        """Writes a session's cookie down, if it is one."""
        if COOKIE.match(name) and value.count(".") >= 2:
            self.note("session cookie", value.rpartition(".")[2])

    def note_printed(self, said: str | bytes | None) -> None:
        """Writes down what a command or an answer shows this once."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""
        for kind, form in PRINTED.items():
            for secret in form.findall(text):
                self.note(kind, secret)

    def _note(self, kind: str, mark: bytes) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        self.marks.setdefault(mark, (kind, test))

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        """Writes down whatever is issued from now on."""
        _after(patch, keys, "issue_key", lambda key, *_, **__: self.note("API key", key.split("_", 2)[2]))
        _after(patch, passwords, "generate", lambda made: self.note("password", made))
        _after(
            patch, passwords, "rehash", lambda _, password: self.note("password", password, chosen=not _made(password))
        )
        _after(
            patch, webhooks, "secret_of", lambda made, *_: self.note("webhook's secret", made.removeprefix("whsec_"))
        )
        _after(patch, Response, "set_cookie", lambda _, __, name, value="", *___, **____: self.note_cookie(name, value))
        _after(patch, httpx.Client, "send", lambda answer, *_, **__: self._answered(answer))
        _after(patch, subprocess.Popen, "communicate", lambda said, *_, **__: self._said(said))
        _after(patch, Home, "create", lambda _, home: self.homes.add(home))

    def _said(self, outputs: Iterable[str | bytes | None]) -> None:
        for said in outputs:
            self.note_printed(said)

    def _answered(self, answer: httpx.Response) -> None:
        for name, value in answer.cookies.items():
            self.note_cookie(name, value)
        if answer.is_stream_consumed and answer.status_code < 300:
            self.note_printed(answer.content[: 1 << 20])

    def note_browser(self, cookies: Iterable[Any]) -> None:
        """Writes down the cookies of a browser."""
        for cookie in cookies:
            self.note_cookie(cookie["name"], cookie["value"])


def _made(password: str) -> bool:
    return PRINTED["password"].fullmatch(password) is not None


def _after(patch: pytest.MonkeyPatch, owner: Any, name: str, noted: Callable[..., object]) -> None:
    """Calls `noted` with what a function returns and what it was given, each time it has returned."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*given: Any, **named: Any) -> Any:
        returned = original(*given, **named)
        noted(returned, *given, **named)
        return returned

    patch.setattr(owner, name, wrapped)
    if isinstance(owner, ModuleType):  # and for those that have imported it by its name
        for module in list(sys.modules.values()):
            if module is not owner and vars(module).get(name) is original:
                patch.setattr(module, name, wrapped)
