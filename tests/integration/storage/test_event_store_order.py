"""The log's order: no follower skips or repeats an event, whoever commits late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
)
from sqlalchemy import text

from tests.integration.storage.event_stores import (
    PATIENCE_SECONDS,
    Follower,
    Store,
    event,
    hold_transaction,
    read_all,
)


def test_a_subscription_yields_what_is_there_and_what_comes(store: Store) -> None:
    recorder = store.recorder()
    recorder.insert_events([event(uuid4(), topic="a:A"), event(uuid4(), topic="b:B")])
    with recorder.subscribe(topics=["b:B"]) as subscription:
        past = next(subscription)
        recorder.insert_events([event(uuid4(), topic="a:A"), event(uuid4(), topic="b:B")])
        assert past.id < next(subscription).id == recorder.max_notification_id()
        subscription.stop()
        assert list(subscription) == []


# --- concurrent writers -------------------------------------------------------------------------


def test_a_late_commit_is_never_skipped(shared_store: Store) -> None:
    recorder, slow, quick = shared_store.recorder(), uuid4(), uuid4()
    follower = Follower(recorder)
    holder, release = hold_transaction(shared_store, slow)
    try:
        other = threading.Thread(target=recorder.insert_events, args=([event(quick)],))
        other.start()
        if shared_store.is_postgres:
            # Commits are parallel: the quick one is done, readable by those who ask for it, and
            # yet nothing that a follower may build on.
            other.join(PATIENCE_SECONDS)
            assert not other.is_alive()
            assert len(recorder.select_events(quick)) == 1
            assert len(recorder.select_tails({quick: 0})) == 1
            assert len(recorder.select_recorded(0, 10)) == 1
        follower.catch_up()
        assert follower.seen == []
        assert recorder.max_notification_id() is None
    finally:
        release()
        holder.join(PATIENCE_SECONDS)
    other.join(PATIENCE_SECONDS)
    follower.catch_up()
    follower.catch_up()
    assert [n.originator_id for n in follower.seen] == [slow, quick]


def test_a_follower_among_many_writers_sees_every_event_once_and_in_order(store: Store) -> None:
    recorder, writers, saves = store.recorder(), 8, 40
    shared = uuid4()
    done = threading.Event()

    def append_and_fail(stream: UUID, version: int) -> None:
        with store.database.transaction():
            recorder.insert_events([event(stream, version)])
            raise LookupError

    def write(number: int) -> None:
        stream = uuid4()
        for version in range(1, saves + 1):
            recorder.insert_events([event(stream, version), event(uuid4())])
            if version % 4 == number % 4:
                with pytest.raises(LookupError):
                    append_and_fail(stream, version + 1)
            try:
                last = recorder.select_events(shared, desc=True, limit=1)
                recorder.insert_events(
                    [event(shared, last[0].originator_version + 1 if last else 1)]
                )
            except IntegrityError:
                continue

    def follow(page: int) -> list[Notification]:
        follower = Follower(recorder, page)
        while not done.is_set():
            follower.catch_up()
        follower.catch_up()
        return follower.seen

    with ThreadPoolExecutor(writers + 2) as pool:
        followers = [pool.submit(follow, page) for page in (1, 50)]
        list(pool.map(write, range(writers)))
        done.set()
        seen = [follower.result(PATIENCE_SECONDS) for follower in followers]

    whole = list(recorder.select_recorded(0, 1_000_000))
    assert len(whole) >= writers * saves * 2
    assert seen == [whole, whole]
    versions: dict[UUID | str, int] = {}
    for notification in whole:
        expected = versions.get(notification.originator_id, 0) + 1
        assert notification.originator_version == expected
        versions[notification.originator_id] = expected


def test_the_horizon_lies_above_all_that_is_final(store: Store) -> None:
    recorder = store.recorder()
    before = recorder.horizon()
    positions = recorder.insert_events([event(uuid4()), event(uuid4())])
    assert before <= positions[0]
    assert positions[-1] < recorder.horizon()
    assert recorder.max_notification_id() == positions[-1]


def test_a_position_never_lies_below_its_streams_last_event(postgres_store: Store) -> None:
    recorder, stream, new = postgres_store.recorder(), uuid4(), uuid4()
    recorder.insert_events([event(stream, 1)])

    def save_in_an_old_transaction() -> None:
        with postgres_store.database.transaction() as connection:
            connection.execute(text("SELECT pg_current_xact_id()"))
            younger = threading.Thread(target=recorder.insert_events, args=([event(stream, 2)],))
            younger.start()
            younger.join(PATIENCE_SECONDS)
            assert not younger.is_alive()
            recorder.insert_events([event(new, 1), event(stream, 3)])

    with pytest.raises(IntegrityError, match="older"):
        save_in_an_old_transaction()
    assert list(recorder.select_events(new)) == []
    recorder.insert_events([event(new, 1), event(stream, 3)])
    in_log = [n.originator_version for n in read_all(recorder) if n.originator_id == stream]
    assert in_log == [1, 2, 3]
