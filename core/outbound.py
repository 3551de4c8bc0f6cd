"""Requests to addresses that users name: only to the public internet, and to the very address that was looked at.

A name is resolved once, at the moment of connecting; every address it has must be public, and one of these is connected
to. So neither a name that points inwards, nor one whose answer changes between the check and the connection (DNS
rebinding), reaches a service of the installation's own network. Redirects are not followed, proxies of the environment
not used, and the whole exchange ends at one deadline, however slowly the other side sends.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

from core.errors import TargetRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

# Each carries an IPv4 address inside, and a gateway may well take it there: NAT64, its local form, 6to4, Teredo.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
_ISATAP = (0x00005EFE, 0x02005EFE)
"""How an interface id begins that has one inside, too (RFC 5214)."""

# Taken for public by Python 3.11: relays of 6to4 (RFC 7526), and what is for documentation (RFC 9637).
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.88.99.0/24", "3fff::/20")))

_UNICAST = ipaddress.ip_network("2000::/3")  # all that has been given out of IPv6's public addresses (IANA)

_MAX_URL = 2_000


class Unreached(Exception):
    """Nothing answered, or not in time; the message says what went wrong, in words for the address's owner."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet's, whichever way it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST or address.scope_id or any(address in network for network in _TRANSLATED):
            return False
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast


def check_url(url: str) -> None:
    """Whether an address can be called at all, by its form; what its name means is looked at on connecting.

    Raises:
        TargetRefused: it is not http or https, has a user name in it, or no host.
    """
    next_step = "Name an address such as https://example.org/hook."
    if len(url) > _MAX_URL or not url.isascii() or any(ord(sign) <= 32 or ord(sign) == 127 for sign in url):
        raise TargetRefused(
            "The address is too long, or has signs in it that an address cannot have.", next_step=next_step
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetRefused("This is no address.", next_step=next_step) from None
    if parts.scheme not in ("http", "https"):
        raise TargetRefused("Only http and https addresses are called.", next_step=next_step)
    if not parts.hostname or "@" in parts.netloc or "\\" in url or port == 0:
        raise TargetRefused("The address has no host, or a user name in it.", next_step=next_step)


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, as the system resolves it. Raises OSError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def look_up(host: str, port: int, *, private: bool = False, resolve: Resolve = resolve) -> str:
    """The address to connect to for a host.

    Args:
        private: whether addresses that are not public are fine, too.
        resolve: what asks the resolver; exactly one question is asked.

    Raises:
        TargetRefused: one of its addresses is not public.
        Unreached: it has none.
    """
    try:
        addresses = resolve(host.strip("[]"), port)
    except (OSError, UnicodeError) as error:
        raise Unreached(f"The name of the host has no address ({type(error).__name__}).") from error
    if not addresses:
        raise Unreached("The name of the host has no address.")
    if not private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
        raise TargetRefused(
            "The address leads into a private network.", next_step="Name a host that is reachable from everywhere."
        )
    return addresses[0]


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    private: bool = False,
    resolve: Resolve = resolve,
) -> int:
    """Sends one POST; the answer's status. Its body is not read.

    Args:
        timeout_s: for everything together but the resolver.
        private: as `look_up`.

    Raises:
        TargetRefused: as `check_url` and `look_up`.
        Unreached: no connection, no valid certificate, or no answer in time.
    """
    check_url(url)
    backend = _Pinned(time.monotonic() + timeout_s, private, resolve)
    sent = list(headers.items())
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
            pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": timeouts}) as answer,
        ):
            return answer.status
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise Unreached(_in_words(error)) from error


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


def _in_words(error: BaseException) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "No answer in time."
    if isinstance(error, httpcore.ProtocolError):
        return "The answer was not HTTP."
    if "CERTIFICATE" in str(error).upper():
        return "The certificate is not valid."
    return "No connection."


class _Pinned(httpcore.SyncBackend):
    """Connects to the address that was looked at, and to no other."""

    def __init__(self, deadline: float, private: bool, resolve: Resolve) -> None:
        self._deadline = deadline
        self._private = private
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = look_up(host, port, private=self._private, resolve=self._resolve)
        left = _left(self._deadline, timeout)
        return _Limited(super().connect_tcp(address, port, left, local_address, socket_options), self._deadline)


class _Limited(httpcore.NetworkStream):
    """A connection that is over at the deadline, even if each single byte comes in time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout)
        return _Limited(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The deadline has passed.")
    return left if timeout is None else min(left, timeout)
