"""Machines made of network namespaces: they reach each other, and a cut is silent and goes both ways."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.hosts import CannotNamespace, Host, Network, cut, heal

SERVER = """
import socket, sys
listening = socket.create_server((sys.argv[1], 7000))
print("up", flush=True)
while True:
    connection, _ = listening.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""
ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 7000), timeout=1.5) as connection:
        connection.sendall(b"hello")
        sys.exit(0 if connection.recv(100) == b"hello" else 2)
except TimeoutError:
    sys.exit(1)
"""


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        with Network("10.214") as made:
            yield made
    except CannotNamespace as error:
        pytest.skip(str(error))


def reaches(host: Host, address: str) -> bool:
    """Whether an echo comes back; False where nothing does."""
    code = subprocess.run(host.command(sys.executable, "-c", ASK, address), check=False).returncode
    assert code in (0, 1)
    return code == 0


def test_a_cut_separates_two_addresses_and_no_others(network: Network):
    try:
        first, second = network.address(1, 2), network.address(1, 3)
        server, client, other = network.host("a", first, second), network.host("b"), network.host("c")
    except CannotNamespace as error:
        pytest.skip(str(error))
    echoes = [
        subprocess.Popen(server.command(sys.executable, "-c", SERVER, address), stdout=subprocess.PIPE)
        for address in (first, second)
    ]
    try:
        for echo in echoes:
            assert echo.stdout
            assert echo.stdout.readline() == b"up\n"
        assert reaches(client, first)
        cut(client, server, first)
        assert (reaches(client, first), reaches(client, second), reaches(other, first)) == (False, True, True)
        heal(client, server, first)
        assert reaches(client, first)
    finally:
        for echo in echoes:
            echo.kill()
            echo.wait()


def test_who_is_not_root_is_told(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(CannotNamespace, match="root"), Network():
        pass
