"""Clients that hold a stream open each, and note when what they are told arrives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

_OPENING_AT_A_TIME = 64


class Listeners:
    """One client for each request."""

    def __init__(self, url: str, requests: Sequence[UUID]) -> None:
        self.arrived: dict[tuple[UUID, str], float] = {}
        """When what was told of a request last arrived, by the name of the event."""
        self.events = 0
        self._url = urlsplit(url)
        self._requests = requests
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Open all streams; return when each has brought its first event."""
        gate = asyncio.Semaphore(_OPENING_AT_A_TIME)

        async def open_one(request_id: UUID) -> None:
            async with gate:
                reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
                path = f"/api/v2/generate/events/{request_id}"
                writer.write(f"GET {path} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode())
                await self._next(reader, request_id)
            self._tasks.append(asyncio.create_task(self._listen(reader, writer, request_id)))

        await asyncio.gather(*(open_one(request_id) for request_id in self._requests))

    async def ended(self) -> None:
        """Return when every stream has come to its end."""
        await asyncio.gather(*self._tasks)

    async def _listen(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request_id: UUID
    ) -> None:
        while await self._next(reader, request_id) != "ended":
            continue
        writer.close()

    async def _next(self, reader: asyncio.StreamReader, request_id: UUID) -> str:
        while line := await reader.readline():
            if line.startswith(b"event: "):
                event = line[7:].decode().strip()
                self.arrived[request_id, event] = time.perf_counter()
                self.events += 1
                return event
            if line.startswith(b"HTTP/1.1 ") and line[9:12] != b"200":
                raise RuntimeError(f"the stream was answered with {line!r}")
        raise RuntimeError("the stream was cut off")
