"""The API on a real HTTP server, and a client that reads its streams of events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import create_server
from typing import Any
from uuid import UUID

import httpx
import orjson
import uvicorn

from api.app import hub_of
from api.tracking.hub import Hub, Timing
from infrastructure.bootstrap import Hoard
from tests.applications import application
from tests.waiting import DEADLINE_SECONDS, wait_until


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream."""

    event: str
    id: str
    """The position of what is recorded; empty for what is true for the moment."""
    data: dict[str, Any]

    @property
    def lasting(self) -> tuple[str, str, dict[str, Any]]:
        """Return what is the same whenever and however often it is told."""
        passing = {"queue_position", "wait_time", "img"}
        return (
            self.event,
            self.id,
            {name: value for name, value in self.data.items() if name not in passing},
        )


@dataclass
class Served:
    """A server that is running."""

    url: str
    hub: Hub
    client: httpx.Client
    loop: asyncio.AbstractEventLoop

    @contextmanager
    def stream(self, request_id: UUID, last: str | None = None) -> Iterator[Iterator[Told]]:
        """Read the events of a request as they come; leaving the block cuts the connection."""
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.client.stream("GET", self._path(request_id), headers=headers) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _events(response)

    def told(self, request_id: UUID, last: str | None = None) -> list[Told]:
        """Read all events until the server closes the stream."""
        with self.stream(request_id, last) as events:
            return list(events)

    def answer(self, request_id: UUID | str, last: str) -> httpx.Response:
        """Ask for the events after the last one that was seen; return an answer that is none."""
        return self.client.get(self._path(request_id), headers={"Last-Event-ID": last})

    def check(
        self, request_id: UUID | str, wait: object = None, etag: str | None = None
    ) -> httpx.Response:
        """Ask how far a request is."""
        params = {} if wait is None else {"wait": str(wait)}
        headers = {} if etag is None else {"If-None-Match": etag}
        return self.client.get(f"/generate/check/{request_id}", params=params, headers=headers)

    @staticmethod
    def _path(request_id: UUID | str) -> str:
        return f"/generate/events/{request_id}"


@contextmanager
def served(hoard: Hoard, **timing: float) -> Iterator[Served]:
    """Serve a Hoard on a free port, looking at the log at this timing."""
    with (
        application(hoard, timing=Timing(**timing)) as app,  # type: ignore[arg-type]
        create_server(("127.0.0.1", 0)) as listening,
    ):
        server = uvicorn.Server(
            uvicorn.Config(app, ws="none", log_config=None, timeout_graceful_shutdown=5)
        )
        hub = hub_of(app)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api/v2"
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve(sockets=[listening])

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), "the server to start")
            with httpx.Client(base_url=url, timeout=DEADLINE_SECONDS) as client:
                yield Served(url, hub, client, loops[0])
        finally:
            hub.leave()
            server.should_exit = True
            thread.join()


def _events(response: httpx.Response) -> Iterator[Told]:
    """Read events. Unlike a browser, which hands an id on to what comes without one.

    :raises AssertionError: when nothing but signs of life came for a long time.
    """
    fields: dict[str, str] = {}
    deadline = time.monotonic() + DEADLINE_SECONDS
    for line in response.iter_lines():
        assert time.monotonic() < deadline, "no event came"
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif not line and "event" in fields:
            yield Told(fields["event"], fields.get("id", ""), orjson.loads(fields["data"]))
            fields = {}
            deadline = time.monotonic() + DEADLINE_SECONDS
