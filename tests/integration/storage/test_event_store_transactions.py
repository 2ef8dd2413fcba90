"""Saves as transactions: all or nothing, whatever else saves at the same time."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
)
from sqlalchemy import Connection, text

from infrastructure.storage.database import TransactionDoomed
from infrastructure.storage.event_sql import MAX_ORDINALS
from infrastructure.storage.event_store import TooManyEvents
from tests.integration.storage.event_stores import (
    PATIENCE_SECONDS,
    Store,
    event,
    hold_transaction,
    read_all,
)
from tests.paths import ROOT
from tests.waiting import wait_until


def test_the_inline_view_changes_in_the_same_transaction(store: Store) -> None:
    with store.database.transaction() as connection:
        connection.execute(text("CREATE TABLE seen (position BIGINT PRIMARY KEY)"))
    given: list[Notification] = []

    def inline(connection: Connection, notifications: Sequence[Notification]) -> None:
        given.extend(notifications)
        for notification in notifications:
            connection.execute(
                text("INSERT INTO seen VALUES (:position)"), {"position": notification.id}
            )

    recorder = store.recorder(inline)
    positions = recorder.insert_events([event(uuid4()), event(uuid4())])
    assert given == read_all(recorder)
    with store.database.reading() as connection:
        rows = connection.execute(text("SELECT position FROM seen ORDER BY position")).scalars()
        assert list(rows) == list(positions)


def test_an_inline_view_that_fails_undoes_the_events(store: Store) -> None:
    def inline(connection: Connection, notifications: Sequence[Notification]) -> None:
        raise LookupError("the view is broken")

    with pytest.raises(LookupError):
        store.recorder(inline).insert_events([event(uuid4())])
    assert read_all(store.recorder()) == []
    assert len(store.recorder().insert_events([event(uuid4())])) == 1


def test_several_saves_join_one_transaction(store: Store) -> None:
    recorder, stream = store.recorder(), uuid4()

    def save_twice_and_fail() -> None:
        with store.database.transaction():
            recorder.insert_events([event(stream, 1)])
            recorder.insert_events([event(stream, 2)])
            assert len(recorder.select_events(stream)) == 2
            assert len(recorder.select_tails({stream: 1})) == 1
            raise LookupError

    with pytest.raises(LookupError):
        save_twice_and_fail()
    assert list(recorder.select_events(stream)) == []
    with store.database.transaction():
        first = recorder.insert_events([event(stream, 1), event(uuid4())])
        second = store.recorder().insert_events([event(stream, 2)])
    assert [n.id for n in read_all(recorder)] == [*first, *second]


def test_a_lost_race_cannot_be_swallowed(store: Store) -> None:
    recorder, taken, fresh = store.recorder(), uuid4(), uuid4()
    recorder.insert_events([event(taken, 1)])

    def swallow_a_lost_race() -> None:
        with store.database.transaction(), contextlib.suppress(IntegrityError):
            recorder.insert_events([event(fresh, 1), event(taken, 1)])

    with pytest.raises(TransactionDoomed):
        swallow_a_lost_race()
    assert list(recorder.select_events(fresh)) == []


def test_saves_that_share_streams_wait_for_each_other_in_one_order(postgres_store: Store) -> None:
    recorder = postgres_store.recorder()
    low, high = sorted((uuid4(), uuid4()))
    holder, release = hold_transaction(postgres_store, low)

    def save_both() -> None:
        with contextlib.suppress(IntegrityError):
            recorder.insert_events([event(high), event(low)])

    waiting = threading.Thread(target=save_both)
    try:
        waiting.start()
        wait_until(lambda: waits_for_lock(postgres_store), "the second save to wait")
        # It waits without holding what comes later in the order, so it can be in nobody's way.
        recorder.insert_events([event(high)])
    finally:
        release()
        holder.join(PATIENCE_SECONDS)
    waiting.join(PATIENCE_SECONDS)
    assert {n.originator_id for n in read_all(recorder)} == {low, high}


def waits_for_lock(store: Store) -> bool:
    with store.database.reading() as connection:
        return bool(
            connection.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            ).scalar_one()
        )


def test_saves_of_the_same_streams_in_opposite_orders_all_go_through(store: Store) -> None:
    recorder, one, two = store.recorder(), uuid4(), uuid4()
    recorder.insert_events([event(one, 1), event(two, 1)])

    def write(order: tuple[UUID, UUID]) -> int:
        wins = 0
        for _ in range(50):
            versions = {s: len(recorder.select_events(s)) for s in order}
            try:
                recorder.insert_events([event(s, versions[s] + 1) for s in order])
            except IntegrityError as error:
                causes.add(type(error.__cause__).__name__)
            else:
                wins += 1
        return wins

    causes: set[str] = set()
    with ThreadPoolExecutor(4) as pool:
        wins = sum(pool.map(write, [(one, two), (two, one)] * 2))
    assert "DeadlockDetected" not in causes
    assert len(recorder.select_events(one)) == len(recorder.select_events(two)) == wins + 1


def test_a_transaction_holds_65536_events_and_no_more(postgres_store: Store) -> None:
    recorder, stream = postgres_store.recorder(), uuid4()
    events = [event(stream, version) for version in range(1, MAX_ORDINALS + 2)]
    with pytest.raises(TooManyEvents, match="65537"):
        recorder.insert_events(events)

    def save_in_two_parts() -> None:
        with postgres_store.database.transaction():
            positions = recorder.insert_events(events[:MAX_ORDINALS])
            assert positions[-1] - positions[0] == MAX_ORDINALS - 1
            recorder.insert_events(events[MAX_ORDINALS:])

    with pytest.raises(TooManyEvents, match="65537"):
        save_in_two_parts()
    assert read_all(recorder) == []


KILLED_WRITER = """
import sys, time
from uuid import UUID
from eventsourcing.persistence import StoredEvent
from infrastructure.storage.database import Database
from infrastructure.storage.event_store import EventRecorder

database = Database(sys.argv[1])
with database.transaction():
    EventRecorder(database).insert_events([StoredEvent(UUID(sys.argv[2]), 1, "a:A", b"{}")])
    print("appended", flush=True)
    time.sleep(600)
"""


def test_a_process_killed_in_its_transaction_leaves_nothing(shared_store: Store) -> None:
    recorder, stream = shared_store.recorder(), uuid4()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, shared_store.url, str(stream)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"appended\n"
        writer.send_signal(signal.SIGKILL)
    assert list(recorder.select_events(stream)) == []
    positions = recorder.insert_events([event(stream, 1, state=b"mine")])
    assert [n.state for n in recorder.select_recorded(0, 10)] == [b"mine"]
    with shared_store.recorder().subscribe() as subscription:
        assert next(subscription).id == positions[0]


# --- a dump in another cluster ------------------------------------------------------------------
