"""Event stores under test: the library's own, and ours on each database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    StoredEvent,
)
from eventsourcing.popo import POPOApplicationRecorder

from infrastructure.storage.database import Database
from infrastructure.storage.event_store import EventRecorder, InlineView
from tests.prepared import prepared


def hold_transaction(store: Store, stream: UUID) -> tuple[threading.Thread, Callable[[], None]]:
    """A thread that has appended an event and commits when it is told to."""
    appended, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store.database.transaction():
            store.recorder().insert_events([event(stream)])
            appended.set()
            assert release.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert appended.wait(PATIENCE_SECONDS)
    return thread, release.set


PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Store:
    """One of our stores under test."""

    kind: str
    url: str
    database: Database

    def recorder(self, inline: InlineView | None = None) -> EventRecorder:
        return EventRecorder(self.database, inline)

    @property
    def is_postgres(self) -> bool:
        return self.kind == "postgres"


def open_store(kind: str, request: pytest.FixtureRequest) -> Store:
    if kind == "postgres":
        url: str = request.getfixturevalue("prepared_postgres_url")
    elif kind == "file":
        tmp_path: Path = request.getfixturevalue("tmp_path")
        url = f"sqlite:///{tmp_path}/ledger.db"
    else:
        url = "sqlite://"
    database = prepared(url)
    request.addfinalizer(database.close)
    return Store(kind, url, database)


@pytest.fixture(params=["memory", "file", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    return open_store(request.param, request)


@pytest.fixture(params=["file", "postgres"])
def shared_store(request: pytest.FixtureRequest) -> Store:
    """A store that several processes can open."""
    return open_store(request.param, request)


@pytest.fixture
def postgres_store(request: pytest.FixtureRequest) -> Store:
    return open_store("postgres", request)


@pytest.fixture(params=["library", "memory", "file", "postgres"])
def recorder(request: pytest.FixtureRequest) -> ApplicationRecorder:
    if request.param == "library":
        return POPOApplicationRecorder()
    return open_store(request.param, request).recorder()


def event(
    stream: UUID,
    version: int = 1,
    *,
    topic: str = "domain.jobs.job:Job.Batched",
    state: bytes = b"{}",
) -> StoredEvent:
    return StoredEvent(stream, version, topic, state)


def read_all(recorder: ApplicationRecorder) -> list[Notification]:
    return list(recorder.select_notifications(None, 1_000_000))


class Follower:
    """Reads the log as a projection does: from its position on, a page at a time."""

    def __init__(self, recorder: ApplicationRecorder, page: int = 7) -> None:
        self._recorder = recorder
        self._page = page
        self.seen: list[Notification] = []

    def catch_up(self) -> None:
        while page := self._recorder.select_notifications(
            self.seen[-1].id if self.seen else 0, self._page, inclusive_of_start=False
        ):
            self.seen.extend(page)


# --- what the library's own recorder promises too -----------------------------------------------
