"""The other side of a load test: requests from one process, which is told its core, so that it costs the server little.

Times count from the moment a request was due, not from when it could be sent: a server that stalls makes its pollers
wait too, and a generator that waits with them would not see it ("coordinated omission", Gil Tene).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import aiohttp

TIMEOUT_S = 60.0
BLOCK = 16 * 1024


@dataclass(frozen=True)
class Target:
    """What is asked: a path, by whom."""

    path: str
    token: str


@dataclass
class Seen:
    """Answers of one kind of request.

    Attributes:
        seconds: from when each was due until its answer was there.
        statuses: how often each came; 0 where there was no answer.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Generator:
    """Asks one server. Made in a process of its own by `benchmarks.remote`; each method runs to its end."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._random = random.Random(seed)

    def poll(self, targets: Sequence[Target], seconds: float, every_s: float) -> Seen:
        """Asks each target every `every_s`, beginning at a moment of its own, as clients do: with the last ETag."""
        return asyncio.run(self._poll(targets, seconds, every_s))

    def transfers(
        self, download: Target, upload: Target, size: int, count: int, rate: int, seconds: float
    ) -> dict[str, Seen]:
        """`count` slow downloads and uploads at once, begun again when they end.

        Args:
            size: bytes of an upload: long records with a short text, since labelling them is not what is measured.
            rate: bytes a second of a transfer; each has its own pace, a quarter more or less.
        """
        return asyncio.run(self._transfers(download, upload, size, count, rate, seconds))

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self._url,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT_S, sock_connect=TIMEOUT_S),
        )

    async def _poll(self, targets: Sequence[Target], seconds: float, every_s: float) -> Seen:
        seen = Seen()
        async with self._session() as session:
            end = time.perf_counter() + seconds
            await asyncio.gather(
                *(
                    self._poll_one(session, target, self._random.uniform(0, every_s), every_s, end, seen)
                    for target in targets
                )
            )
        return seen

    async def _poll_one(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        first_s: float,
        every_s: float,
        end: float,
        seen: Seen,
    ) -> None:
        headers = {"Authorization": f"Bearer {target.token}"}
        due = time.perf_counter() + first_s
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                async with session.get(target.path, headers=headers) as answer:
                    await answer.read()
                    if etag := answer.headers.get("ETag"):
                        headers["If-None-Match"] = etag
                    seen.statuses[answer.status] += 1
            except (TimeoutError, aiohttp.ClientError):
                seen.statuses[0] += 1
            seen.seconds.append(time.perf_counter() - due)
            due += every_s

    async def _transfers(
        self, download: Target, upload: Target, size: int, count: int, rate: int, seconds: float
    ) -> dict[str, Seen]:
        found = {"download": Seen(), "upload": Seen()}
        end = time.perf_counter() + seconds
        async with self._session() as session:

            async def repeat(kind: str) -> None:
                # As strangers do: not all begun in one moment, nor at one pace, so that they do not end in step.
                own_rate = round(rate * self._random.uniform(0.75, 1.25))
                await asyncio.sleep(self._random.uniform(0, min(3.0, seconds / 10)))
                while time.perf_counter() < end:
                    began = time.perf_counter()
                    try:
                        status = await (
                            self._download(session, download, own_rate, end)
                            if kind == "download"
                            else self._upload(session, upload, size, own_rate)
                        )
                    except (TimeoutError, aiohttp.ClientError):
                        status = 0
                    found[kind].statuses[status] += 1
                    found[kind].seconds.append(time.perf_counter() - began)

            await asyncio.gather(*(repeat(kind) for kind in found for _ in range(count)))
        return found

    async def _download(self, session: aiohttp.ClientSession, target: Target, rate: int, end: float) -> int:
        async with session.get(target.path, headers={"Authorization": f"Bearer {target.token}"}) as answer:
            async for block in answer.content.iter_chunked(BLOCK):
                if time.perf_counter() > end:
                    break
                await asyncio.sleep(len(block) / rate)
            return answer.status

    async def _upload(self, session: aiohttp.ClientSession, target: Target, size: int, rate: int) -> int:
        row = b"a text that arrives slowly," + b"and what stands beside it " * 40 + b"\n"

        async def body() -> AsyncIterator[bytes]:
            yield b"text,note\n"
            for _ in range(max(1, size // BLOCK)):
                yield row * (BLOCK // len(row))
                await asyncio.sleep(BLOCK / rate)

        headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "text/csv"}
        async with session.post(target.path, headers=headers, data=body()) as answer:
            await answer.read()
            return answer.status
