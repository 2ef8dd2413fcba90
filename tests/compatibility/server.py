"""A whole Hoard behind a real HTTP server on a port, in threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.accounts.roles import Roles
from infrastructure.bootstrap import Hoard
from infrastructure.distribution import installed_version
from infrastructure.keys.api_keys import digest_of, new_api_key
from infrastructure.processes.api import app_of
from infrastructure.settings.environment import Settings
from projections.following.views import ViewFollower
from tests.prepared import assembled
from tests.waiting import wait_until

_FOLLOW_SECONDS = 0.02


class Noted:
    """An application that notes which method was called at which address."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before ``app``."""
        self._app = app
        self.calls: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the call and pass it on unchanged."""
        if scope["type"] == "http":
            self.calls.append((scope["method"], scope["path"]))
        await self._app(scope, receive, send)


@dataclass
class Server:
    """The server, and behind it the Hoard that it serves."""

    hoard: Hoard
    url: str
    noted: Noted
    version: str
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, name: str, **roles: bool) -> str:
        """Return the API key of the account of this name, opening it first if need be."""
        if name not in self.keys:
            key = new_api_key()
            self.hoard.ledger.accounts.open(name, digest_of(key), Roles(**roles))
            self.keys[name] = key
        return self.keys[name]

    def call(self, method: str, path: str, key: str | None = None, **options: Any) -> Any:
        """Make a call for which the SDK has no request; return the body."""
        headers = {} if key is None else {"apikey": key}
        answer = httpx.request(method, f"{self.url}/api/v2{path}", headers=headers, **options)
        assert answer.is_success, answer.text
        return answer.json()


@contextmanager
def serving(folder: Path, listening: socket, url: str) -> Iterator[Server]:
    """Serve a new Hoard in a folder on a duplicate of a listening socket, its views following."""
    hoard = assembled(Settings(data=folder, workers_per_address=0))
    noted = Noted(app_of(hoard))
    server = uvicorn.Server(
        uvicorn.Config(
            noted,
            http="httptools",
            loop="uvloop",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    )
    stop = threading.Event()
    threads = [
        threading.Thread(target=server.run, args=([listening.dup()],), name="server"),
        threading.Thread(
            target=ViewFollower.together(hoard.views.followers).follow,
            args=(stop,),
            kwargs={"interval": _FOLLOW_SECONDS},
            name="follower",
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: server.started or not threads[0].is_alive(), "the server to start")
        yield Server(hoard, url, noted, installed_version() or "0")
    finally:
        server.should_exit = True
        stop.set()
        for thread in threads:
            thread.join()
        hoard.close()
