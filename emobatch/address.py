"""A server's address as a user gives it: a plain URL, or the sign-in link that ``emobatch up`` prints."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

from core.errors import BadOption


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is, without the path of its API, and the token if the address carried one."""

    url: str
    token: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what a user gave.

        Raises:
            BadOption: it is no http or https address.
        """
        try:
            parts = urlsplit(text.strip())
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise BadOption(
                f"{text!r} is not the address of a server.",
                next_step="Write it as in http://127.0.0.1:8080, or paste the link that `emobatch up` printed.",
            )
        path, token = parts.path.rstrip("/"), None
        if path.endswith("/sign-in"):
            path = path.removesuffix("/sign-in")
            token = next(iter(parse_qs(parts.query).get("token", [])), None)
        return cls(f"{parts.scheme}://{parts.netloc}{path}", token)

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
