"""A whole Hoard behind its API, for tests that speak to it as front-ends and workers do."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from domain.accounts.roles import Roles
from infrastructure.bootstrap import Hoard
from infrastructure.keys.api_keys import ANONYMOUS_KEY, digest_of, new_api_key
from infrastructure.settings.environment import Settings
from tests.applications import application
from tests.prepared import assembled
from tests.world import ManualClock

MODEL = "a model"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def rc(self) -> str:
        """The return code of an error body, which is all that it may hold beside its message."""
        assert set(self.body) <= {"message", "rc", "errors"}, self.body
        assert self.body["message"]
        return str(self.body["rc"])


@dataclass
class Api:
    """The API, and behind it the Hoard that it serves."""

    hoard: Hoard
    clock: ManualClock
    http: TestClient
    follow: bool = False
    """Whether every view catches up after each call."""
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, name: str, **roles: bool) -> str:
        """Return the API key of the account of this name, opening it first if need be."""
        if name not in self.keys:
            key = new_api_key()
            self.hoard.ledger.accounts.open(name, digest_of(key), Roles(**roles))
            self.keys[name] = key
        return self.keys[name]

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Answered:
        """Call the API."""
        headers = {**options.pop("headers", {}), **({} if key is None else {"apikey": key})}
        response = self.http.request(method, f"/api/v2{path}", headers=headers, **options)
        if self.follow:
            self.catch_up()
        return Answered(response.status_code, response.json(), response.headers)

    def catch_up(self) -> None:
        """Let every view see all that happened."""
        for follower in self.hoard.views.followers:
            while follower.catch_up():
                continue

    def ask(self, key: str = ANONYMOUS_KEY, n: int = 1, **fields: Any) -> Answered:
        """Ask for images."""
        body = {"prompt": "a red circle", **fields}
        body["params"] = {"n": n, **fields.get("params", {})}
        return self.call("POST", "/generate/async", key=key, json=body)

    def asked(self, key: str = ANONYMOUS_KEY, n: int = 1, **fields: Any) -> str:
        """Ask for images and return the request's id."""
        answered = self.ask(key, n, **fields)
        assert answered.status == 202, answered
        return str(answered.body["id"])

    def check(self, request_id: str) -> Any:
        """Return the body of a check."""
        answered = self.call("GET", f"/generate/check/{request_id}")
        assert answered.status == 200, answered
        return answered.body

    def status(self, request_id: str) -> Any:
        """Return the body of a status."""
        answered = self.call("GET", f"/generate/status/{request_id}")
        assert answered.status == 200, answered
        return answered.body

    def pop(self, key: str | None = None, name: str = "a worker", **fields: Any) -> Answered:
        """Ask for work, as a big worker of one owner if nothing else is said."""
        body = {"name": name, "models": [MODEL], "amount": 20, "max_pixels": 2048 * 2048, **fields}
        return self.call(
            "POST", "/generate/pop", key=self.key("owner") if key is None else key, json=body
        )

    def popped(self, **fields: Any) -> Any:
        """Ask for work and return the job."""
        answered = self.pop(**fields)
        assert answered.status == 200, answered
        assert answered.body["id"], answered
        return answered.body

    def submit(self, image_id: str, key: str | None = None, **fields: Any) -> Answered:
        """Deliver an image."""
        body = {"id": image_id, "seed": 7, "generation": in_base64(picture()), **fields}
        return self.call(
            "POST", "/generate/submit", key=self.key("owner") if key is None else key, json=body
        )

    def deliver(self, image_ids: Iterable[str]) -> None:
        """Deliver all images of a job, each another picture."""
        for place, image_id in enumerate(image_ids):
            answered = self.submit(image_id, generation=in_base64(picture(place)))
            assert answered.status == 200, answered


@contextmanager
def serving(
    folder: Path, *, database: str | None = None, follow: bool = False, **settings: Any
) -> Iterator[Api]:
    """Serve a new Hoard on SQLite in a folder, or on the PostgreSQL database of this URL."""
    clock = ManualClock()
    hoard = assembled(Settings(data=folder, ledger_url=database, **settings), clock=clock)
    try:
        with (
            application(hoard) as app,
            TestClient(app, raise_server_exceptions=False) as http,
        ):
            yield Api(hoard, clock, http, follow=follow)
    finally:
        hoard.close()


@pytest.fixture
def api(ledger_url: str | None, tmp_path: Path) -> Iterator[Api]:
    """A Hoard on SQLite, and once more on PostgreSQL; nothing follows its log."""
    with serving(tmp_path, database=ledger_url) as served:
        yield served


@pytest.fixture
def followed_api(ledger_url: str | None, tmp_path: Path) -> Iterator[Api]:
    """The same, whose views follow at once."""
    with serving(tmp_path, database=ledger_url, follow=True) as served:
        yield served


def picture(shade: int = 0, kind: str = "WEBP") -> bytes:
    """Return a small picture as a file."""
    file = BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 255)).save(file, kind)
    return file.getvalue()


def in_base64(data: bytes) -> str:
    """Return bytes as a worker sends them."""
    return base64.b64encode(data).decode()
