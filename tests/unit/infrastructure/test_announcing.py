"""Commits of events wake those who wait: once each, and only when they are committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from infrastructure.storage.database import Database
from infrastructure.storage.event_log import announcing
from infrastructure.storage.event_store import EventRecorder
from infrastructure.storage.schema import migrate_ledger
from infrastructure.wakeups.redis_channels import connection_of
from projections.following.wakeups import WakeupListener


class Undone(Exception):
    """What rolls a transaction back."""


@dataclass
class Counted:
    """Wake-ups that are counted, and at each of them whether a transaction was open."""

    database: Database
    changes: int = 0

    def listen(self, hearing: WakeupListener) -> Callable[[], None]:
        raise AssertionError("nobody listens here")

    def changed(self) -> None:
        assert not self.database.in_transaction
        self.changes += 1

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        raise AssertionError("no step is made here")


@dataclass
class Log:
    """A log in memory, and who is woken by it."""

    database: Database
    recorder: EventRecorder
    wakeups: Counted
    applied: int = 0

    def append(self, *topics: str) -> None:
        stream = uuid4()
        self.recorder.insert_events(
            [StoredEvent(stream, version, topic, b"{}") for version, topic in enumerate(topics, 1)]
        )


@pytest.fixture
def log() -> Iterator[Log]:
    database = Database("sqlite://")
    migrate_ledger(database)
    wakeups = Counted(database)
    applied: list[int] = []
    recorder = EventRecorder(
        database, announcing(lambda _, events: applied.append(len(events)), database, wakeups)
    )
    yield Log(database, recorder, wakeups)
    assert applied
    database.close()


@pytest.mark.parametrize("topic", ["Request.Submitted", "Job.Batched", "Job.Progressed"])
def test_a_commit_with_events_of_requests_or_jobs_wakes_once(log: Log, topic: str) -> None:
    log.append("Account.Opened", topic, topic, "Job.Completed")
    assert log.wakeups.changes == 1
    log.append(topic)
    assert log.wakeups.changes == 2


def test_a_transaction_of_many_saves_wakes_once_and_at_its_end(log: Log) -> None:
    with log.database.transaction():
        log.append("Job.ImageGenerated", "Job.Completed")
        with log.database.transaction():
            log.append("Request.JobReturned")
        log.append("Request.Completed")
        assert log.wakeups.changes == 0
    assert log.wakeups.changes == 1


def test_other_events_wake_nobody(log: Log) -> None:
    log.append(
        "Account.Opened", "Worker.Registered", "JobLike.Batched", "WebhookDelivery.Scheduled"
    )
    assert log.wakeups.changes == 0


def test_what_is_rolled_back_wakes_nobody(log: Log) -> None:
    with suppress(Undone), log.database.transaction():
        log.append("Request.Submitted")
        raise Undone
    assert log.wakeups.changes == 0


def test_a_lost_race_wakes_nobody(log: Log) -> None:
    stream = uuid4()
    event = StoredEvent(stream, 1, "Request.Submitted", b"{}")
    log.recorder.insert_events([event])
    with pytest.raises(IntegrityError):
        log.recorder.insert_events([event])
    assert log.wakeups.changes == 1


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("redis+socket:///run/a%20b.sock", {"unix_socket_path": "/run/a b.sock", "db": 0}),
        (
            "redis+socket://:p%40ss@/run/a.sock?virtual_host=2",
            {"unix_socket_path": "/run/a.sock", "db": 2, "password": "p@ss"},
        ),
        ("redis://", {"host": "127.0.0.1", "port": 6379, "db": 0}),
        (
            "redis://me:p%2Fw@redis.local:7000/4?visibility_timeout=9",
            {"host": "redis.local", "port": 7000, "db": 4, "username": "me", "password": "p/w"},
        ),
        (
            "rediss://r:1/0?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=false&ssl_ca_certs=/ca.pem",
            {
                "host": "r",
                "port": 1,
                "db": 0,
                "ssl": True,
                "ssl_cert_reqs": "none",
                "ssl_check_hostname": False,
                "ssl_ca_certs": "/ca.pem",
            },
        ),
        ("rediss://[::1]:1", {"host": "::1", "port": 1, "db": 0, "ssl": True}),
    ],
)
def test_a_brokers_url_says_where_its_redis_is(url: str, connection: dict[str, object]) -> None:
    assert connection_of(url) == connection
