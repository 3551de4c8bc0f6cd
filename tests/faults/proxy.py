"""A proxy before Postgres that reads what a client says, and cuts its connection at a COMMIT: sent, never answered.

Only commits of results count: transactions in which something was inserted into ``result_chunk``. Some are passed on
before the cut and so happen, others are not and so do not; the client cannot tell which.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

RESULT = b"INSERT INTO result_chunk"
RESET = struct.pack("ii", 1, 0)


class CommitCutter:
    """Listens on a port of the loopback. Use it as a context manager.

    Args:
        target: Postgres' address.
        choose: asked at each commit of results; None lets it be, True cuts after it was passed on, False before.
    """

    def __init__(self, target: str, choose: Callable[[], bool | None]) -> None:
        self._target = urlsplit(target)
        self._choose = choose
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The target's, by way of the proxy."""
        login, _, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def __enter__(self) -> CommitCutter:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            server = socket.create_connection((self._target.hostname, self._target.port))
            with server:
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_pump, args=(server, client), daemon=True).start()
                self._listen(client, server)

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        """Passes a client's messages on, each looked at; returns when the connection is to end."""
        stream = client.makefile("rb")
        # The start packet, and an SSL request before it, have a length and no type.
        while True:
            size = stream.read(4)
            if len(size) < 4:
                return
            rest = stream.read(int.from_bytes(size, "big") - 4)
            server.sendall(size + rest)
            if rest[:4] == b"\0\3\0\0":
                break
        results: set[bytes] = set()
        inserted = False
        while head := stream.read(5):
            kind, body = head[:1], stream.read(int.from_bytes(head[1:], "big") - 4)
            if kind == b"P":
                name, _, query = body.partition(b"\0")
                if RESULT in query:
                    results.add(name)
                else:
                    results.discard(name)
            elif kind == b"B":
                inserted |= body.split(b"\0", 2)[1] in results
            elif kind == b"Q" and body.startswith((b"COMMIT", b"ROLLBACK")):
                cut = self._choose() if inserted and body.startswith(b"COMMIT") else None
                inserted = False
                if cut is not None:
                    self._cut(client, server, head + body if cut else b"")
                    return
            server.sendall(head + body)

    def _cut(self, client: socket.socket, server: socket.socket, last: bytes) -> None:
        # The client first, so that no answer can reach it. A reset, as a firewall's that has forgotten the connection.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.shutdown(socket.SHUT_WR)
        if last:
            server.sendall(last)
        client.close()
        server.shutdown(socket.SHUT_WR)  # Postgres carries out what it has, and then sees the end.


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Passes everything on until one side ends."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
