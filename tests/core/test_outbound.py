"""Requests to addresses that users name: public ones only, and the very address that was looked at."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from core import outbound
from core.errors import TargetRefused
from core.outbound import Unreached, check_url, is_public, look_up, post

PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8")

PRIVATE = (
    # this host, private networks, carriers' networks, link-local with the clouds' metadata, and what is reserved
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254"),
    *("192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.0.1", "169.254.169.254", "169.254.0.1", "192.0.0.1"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    "255.255.255.255",
    *("::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "100::1"),
    # an IPv4 address inside
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::"),
    *("2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1", "192.88.99.1", "3fff::1"),
)

# Names and spellings of this host and its like, as curl and browsers take them: what they mean is for the resolver.
SPELT = (
    *("http://127.0.0.1/", "http://127.0.0.1:22/", "http://127.1/", "http://0/", "http://0x7f000001/"),
    *("http://2130706433/", "http://017700000001/", "http://0x7f.0.0.1/", "http://127.0.0.1.:80/", "http://localhost/"),
    *(
        "http://LOCALHOST:6379/",
        "https://localhost:5432/",
        "http://[::1]/",
        "http://[::]/",
        "http://[0:0:0:0:0:0:0:1]/",
    ),
    *("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://10.0.0.1/", "http://192.168.1.1/admin"),
    *("http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://[fc00::1]/", "http://172.16.0.1:9200/"),
    *("http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://100.64.0.1/", "http://0.0.0.0:8080/"),
)

MALFORMED = (
    *(
        "",
        "x",
        "//example.org/",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_",
    ),
    *("dict://127.0.0.1:11211/", "javascript:alert(1)", "data:,x", "http:///", "http://", "https://:443/", "http://@/"),
    *("http://user@example.org/", "http://user:pw@example.org/", "http://example.org@127.0.0.1/", "http://[::1/"),
    *("http://127.0.0.1#@example.org\\", "http://example.org\\@127.0.0.1/", "http://example.org:0/"),
    *("http://example.org:99999/", "http://example.org:port/", "http://exa mple.org/", "http://example.org/\r\nX: y"),
    *("http://example.org/\n", "\thttp://example.org/", "http://example.org/\x00", "http://ex\u0430mple.org/"),
    *("http://①②⑦.⓪.⓪.①/", "http://example.org/" + 2_000 * "x", "HTTP+UNIX://%2Fvar%2Frun%2Fdocker.sock/"),
    *("unix:///var/run/docker.sock", "http:127.0.0.1", "http:/127.0.0.1/", "ws://example.org/", "ldap://example.org/"),
)

INNER = tuple(f"https://[{address}]/hook" if ":" in address else f"https://{address}/hook" for address in PRIVATE)


def test_there_are_eighty_of_them():
    assert len({*SPELT, *MALFORMED, *INNER}) >= 80


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address: str):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not(address: str):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_address_to_call(url: str):
    with pytest.raises(TargetRefused):
        check_url(url)


@pytest.mark.parametrize("url", [*SPELT, *INNER])
def test_no_spelling_of_an_inner_address_is_called(url: str, monkeypatch):
    """Either the form is refused, or the resolver's answer is, or it has none; a connection is never tried."""
    monkeypatch.setattr(outbound.httpcore.SyncBackend, "connect_tcp", _never)
    with pytest.raises((TargetRefused, Unreached)):
        post(url, b"{}", {}, timeout_s=2)


def _never(*_: object) -> None:
    raise AssertionError("a connection was tried")


@pytest.mark.parametrize("inner", PRIVATE)
def test_one_inner_address_among_public_ones_is_enough(inner: str):
    with pytest.raises(TargetRefused):
        look_up("example.org", 443, resolve=lambda host, port: ["8.8.8.8", inner])


def test_a_name_without_addresses_is_said_to_have_none():
    with pytest.raises(Unreached, match="no address"):
        look_up("example.invalid", 443, resolve=lambda host, port: [])


def test_whatever_a_name_says_next_the_address_that_was_looked_at_is_connected_to(monkeypatch):
    """A thousand names that are public when they are asked first, and this host when they are asked again."""
    tried: list[str] = []

    def note(self: object, host: str, *_: object) -> None:
        tried.append(host)
        raise outbound.httpcore.ConnectError

    monkeypatch.setattr(outbound.httpcore.SyncBackend, "connect_tcp", note)
    for number in range(1_000):
        answers = iter([["8.8.8.8"], ["127.0.0.1"], ["169.254.169.254"]])
        with pytest.raises(Unreached):
            post(f"https://n{number}.example.org/", b"", {}, timeout_s=1, resolve=lambda *_, it=answers: next(it))
    assert tried == ["8.8.8.8"] * 1_000


@contextmanager
def receiver(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server for one connection on this host; gives its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(65_536)
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://localhost:{server.getsockname()[1]}/hook"
        thread.join(5)


def test_an_answer_comes_back():
    with receiver(lambda c: c.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")) as url:
        assert post(url, b"{}", {"X-Test": "1"}, timeout_s=5, private=True) == 204


def test_a_redirect_is_an_answer_and_is_not_followed():
    with receiver(lambda c: c.sendall(b"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/\r\n\r\n")) as url:
        assert post(url, b"{}", {}, timeout_s=5, private=True) == 307


def test_an_answer_that_trickles_ends_at_the_deadline():
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        while not over.wait(0.05):
            connection.sendall(b"H")

    with receiver(trickle) as url:
        began = time.monotonic()
        with pytest.raises(Unreached):
            post(url, b"{}", {}, timeout_s=0.5, private=True)
        over.set()
        assert time.monotonic() - began < 30  # without the deadline it would never end


def test_what_is_not_http_is_told_so():
    with receiver(lambda c: c.sendall(b"220 smtp.example.org ESMTP\r\n")) as url, pytest.raises(Unreached):
        post(url, b"{}", {}, timeout_s=5, private=True)


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with receiver(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        assert post(url, b"{}", {}, timeout_s=5, private=True) == 200
