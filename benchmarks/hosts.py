"""Several machines on one: network namespaces on a bridge, and cuts between an address of one and another of them.

A cut drops what is sent, silently and both ways, as a pulled cable or a lost route does: connections are not told. The
sender's side resolves the other to a hardware address that nobody has, the other side routes the answers into nothing.
Needs root and `ip` of iproute2; no packet filter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from types import TracebackType
from typing import Self

NOBODY = "02:00:00:00:00:01"
"""A locally administered hardware address that no card has."""


class CannotNamespace(RuntimeError):
    """This machine lets us make no network namespaces; the message says what is missing."""


class Host:
    """One machine: its namespace, its first address, and further ones for services that are cut off on their own."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    def command(self, *words: str) -> tuple[str, ...]:
        """A command line that runs `words` there."""
        return ("ip", "netns", "exec", self.namespace, *words)


class Network:
    """A bridge and the hosts on it, for the length of a ``with`` block. We are on it too, as `gateway`.

    Args:
        subnet: the first two numbers of a /16 that nothing else here uses.

    Raises:
        CannotNamespace: not root, no `ip`, or the kernel refuses.
    """

    def __init__(self, subnet: str = "10.213") -> None:
        self._subnet = subnet
        self._name = f"em{os.getpid() % 100_000}"
        self._undo = ExitStack()
        self._hosts = 0
        self.gateway = f"{subnet}.0.1"

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise CannotNamespace("network namespaces need root: run it with sudo, or in a container of your own")
        if not shutil.which("ip"):
            raise CannotNamespace("the program ip is missing: install iproute2")
        try:
            _ip("link", "add", self._name, "type", "bridge")
            self._undo.callback(_ip, "link", "del", self._name)
            _ip("addr", "add", f"{self.gateway}/16", "dev", self._name)
            _ip("link", "set", self._name, "up")
        except subprocess.CalledProcessError as error:
            self._undo.close()
            raise CannotNamespace(f"the kernel makes no bridge: {error.stderr.strip()}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._undo.close()

    def host(self, name: str, *more: str) -> Host:
        """Adds a machine; `more` are further addresses of it, as `address` gives them.

        Raises:
            CannotNamespace: the kernel refuses.
        """
        self._hosts += 1
        namespace, outside = f"{self._name}-{name}", f"{self._name}v{self._hosts}"
        try:
            _ip("netns", "add", namespace)
            self._undo.callback(_ip, "netns", "del", namespace)
            _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", outside, "master", self._name, "up")
            host = Host(namespace, self.address(self._hosts, 1))
            for address in (host.address, *more):
                _ip("-n", namespace, "addr", "add", f"{address}/16", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", namespace, "link", "set", link, "up")
        except subprocess.CalledProcessError as error:
            raise CannotNamespace(f"the kernel makes no namespace: {error.stderr.strip()}") from error
        return host

    def address(self, host: int, number: int) -> str:
        """Address `number` of the host added as number `host`, from 1."""
        return f"{self._subnet}.{host}.{number}"


def cut(client: Host, server: Host, address: str) -> None:
    """Cuts a host off from one address of another, both ways."""
    _ip("-n", client.namespace, "neigh", "replace", address, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")
    _ip("-n", server.namespace, "rule", "add", "from", address, "to", client.address, "blackhole")


def heal(client: Host, server: Host, address: str) -> None:
    """Undoes `cut`."""
    _ip("-n", server.namespace, "rule", "del", "from", address, "to", client.address, "blackhole")
    _ip("-n", client.namespace, "neigh", "del", address, "dev", "eth0")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
