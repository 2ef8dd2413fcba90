"""What every event store promises, asked of the library's own and of ours on each database."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
)
from eventsourcing.popo import POPOApplicationRecorder
from sqlalchemy import Connection, text

from infrastructure.database import Database, TransactionDoomed
from infrastructure.event_sql import MAX_PLACES
from infrastructure.event_store import EventRecorder, InlineView, TooManyEvents
from infrastructure.migrate import migrate_ledger
from tests.servers import PostgresServer, wait_until

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
        url: str = request.getfixturevalue("postgres_url")
    elif kind == "file":
        tmp_path: Path = request.getfixturevalue("tmp_path")
        url = f"sqlite:///{tmp_path}/ledger.db"
    else:
        url = "sqlite://"
    database = Database(url)
    request.addfinalizer(database.close)
    migrate_ledger(database)
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
    stream: UUID, version: int = 1, *, topic: str = "domain.job:Job.Batched", state: bytes = b"{}"
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


def test_what_was_appended_is_read_back(recorder: ApplicationRecorder) -> None:
    stream = uuid4()
    events = [
        event(stream, 1, topic="domain.request:Request.Submitted", state=b'{"n":20}'),
        event(stream, 2, topic="é:ü", state=bytes(range(256))),
    ]
    positions = recorder.insert_events(events)
    assert positions is not None
    assert list(recorder.select_events(stream)) == events
    assert [n.id for n in read_all(recorder)] == list(positions)
    assert [
        (n.originator_id, n.originator_version, n.topic, n.state) for n in read_all(recorder)
    ] == [(e.originator_id, e.originator_version, e.topic, e.state) for e in events]


def test_nothing_appended_is_nothing_read(recorder: ApplicationRecorder) -> None:
    assert list(recorder.insert_events([]) or ()) == []
    assert list(recorder.select_events(uuid4())) == []
    assert read_all(recorder) == []
    assert not recorder.max_notification_id()


def test_a_stream_is_read_by_version(recorder: ApplicationRecorder) -> None:
    stream, other = uuid4(), uuid4()
    for version in range(1, 6):
        recorder.insert_events([event(stream, version), event(other, version)])

    def versions(
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[int]:
        found = recorder.select_events(stream, gt=gt, lte=lte, desc=desc, limit=limit)
        assert {e.originator_id for e in found} <= {stream}
        return [e.originator_version for e in found]

    assert versions() == [1, 2, 3, 4, 5]
    assert versions(gt=2) == [3, 4, 5]
    assert versions(lte=2) == [1, 2]
    assert versions(gt=1, lte=4) == [2, 3, 4]
    assert versions(desc=True, limit=2) == [5, 4]
    assert versions(gt=1, limit=2) == [2, 3]


def test_a_version_is_taken_once(recorder: ApplicationRecorder) -> None:
    stream = uuid4()
    recorder.insert_events([event(stream, 1, state=b"first")])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(stream, 1, state=b"second")])
    assert [e.state for e in recorder.select_events(stream)] == [b"first"]


def test_a_save_of_several_streams_is_all_or_nothing(recorder: ApplicationRecorder) -> None:
    taken, fresh = uuid4(), uuid4()
    recorder.insert_events([event(taken, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(fresh, 1), event(taken, 1), event(fresh, 2)])
    assert list(recorder.select_events(fresh)) == []
    assert len(read_all(recorder)) == 1
    recorder.insert_events([event(fresh, 1), event(taken, 2)])
    assert len(read_all(recorder)) == 3


def test_each_version_has_one_winner_among_racing_threads(recorder: ApplicationRecorder) -> None:
    stream, threads, rounds = uuid4(), 8, 10
    together = threading.Barrier(threads)

    def race(name: int) -> list[int]:
        won = []
        for version in range(1, rounds + 1):
            together.wait(PATIENCE_SECONDS)
            try:
                recorder.insert_events([event(stream, version, state=str(name).encode())])
            except IntegrityError:
                continue
            won.append(version)
        return won

    with ThreadPoolExecutor(threads) as pool:
        wins = [version for won in pool.map(race, range(threads)) for version in won]
    assert sorted(wins) == list(range(1, rounds + 1))
    assert [e.originator_version for e in recorder.select_events(stream)] == sorted(wins)


def test_the_log_is_read_in_pages(recorder: ApplicationRecorder) -> None:
    for _ in range(10):
        recorder.insert_events([event(uuid4()), event(uuid4())])
    whole = read_all(recorder)
    ids = [n.id for n in whole]
    assert ids == sorted(set(ids))
    assert len(ids) == 20
    follower = Follower(recorder, page=3)
    follower.catch_up()
    assert follower.seen == whole
    assert list(recorder.select_notifications(ids[4], 5)) == whole[4:9]
    assert list(recorder.select_notifications(ids[4], 5, inclusive_of_start=False)) == whole[5:10]
    assert list(recorder.select_notifications(ids[4], 100, ids[7])) == whole[4:8]
    assert list(recorder.select_notifications(None, 2)) == whole[:2]
    assert recorder.max_notification_id() == ids[-1]


def test_the_log_is_filtered_by_topic(recorder: ApplicationRecorder) -> None:
    topics = ["a:A", "b:B", "c:C"]
    for number in range(9):
        recorder.insert_events([event(uuid4(), topic=topics[number % 3])])

    def found(*wanted: str, limit: int = 100) -> list[str]:
        return [n.topic for n in recorder.select_notifications(None, limit, topics=wanted)]

    assert found("b:B") == ["b:B"] * 3
    assert found("a:A", "c:C") == ["a:A", "c:C"] * 3
    assert found("a:A", "c:C", limit=2) == ["a:A", "c:C"]
    assert found("unheard:Of") == []
    assert len(found()) == 9


# --- what ours promises beyond ------------------------------------------------------------------


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


def test_tails_are_read_in_log_order(store: Store) -> None:
    recorder = store.recorder()
    one, two, other = uuid4(), uuid4(), uuid4()
    for version in range(1, 4):
        recorder.insert_events([event(one, version), event(other, version)])
        recorder.insert_events([event(two, version)])
    tails = recorder.select_tails({one: 2, two: 1, uuid4(): 0})
    assert [(n.originator_id, n.originator_version) for n in tails] == [
        (two, 2),
        (one, 3),
        (two, 3),
    ]
    assert list(tails) == [n for n in read_all(recorder) if n in tails]
    assert list(recorder.select_tails({})) == []


def test_the_horizon_lies_above_all_that_is_final(store: Store) -> None:
    recorder = store.recorder()
    before = recorder.horizon()
    positions = recorder.insert_events([event(uuid4()), event(uuid4())])
    assert before <= positions[0]
    assert positions[-1] < recorder.horizon()
    assert recorder.max_notification_id() == positions[-1]


def test_extreme_positions_and_limits_are_harmless(store: Store) -> None:
    recorder, stream = store.recorder(), uuid4()
    recorder.insert_events([event(stream)])
    huge = 10**30
    assert list(recorder.select_notifications(huge, 10)) == []
    assert list(recorder.select_notifications(-huge, huge, huge)) == read_all(recorder)
    assert list(recorder.select_events(stream, gt=huge)) == []
    assert len(recorder.select_events(stream, gt=-huge, lte=huge, limit=huge)) == 1
    assert list(recorder.select_recorded(huge, 1)) == []
    with pytest.raises(ValueError, match="limit"):
        recorder.select_notifications(0, 0)


def test_the_log_records_nothing_but_events(store: Store) -> None:
    with pytest.raises(TypeError, match="tracking"):
        store.recorder().insert_events([event(uuid4())], tracking=object())


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


def test_a_transaction_holds_65536_events_and_no_more(postgres_store: Store) -> None:
    recorder, stream = postgres_store.recorder(), uuid4()
    events = [event(stream, version) for version in range(1, MAX_PLACES + 2)]
    with pytest.raises(TooManyEvents, match="65537"):
        recorder.insert_events(events)

    def save_in_two_parts() -> None:
        with postgres_store.database.transaction():
            positions = recorder.insert_events(events[:MAX_PLACES])
            assert positions[-1] - positions[0] == MAX_PLACES - 1
            recorder.insert_events(events[MAX_PLACES:])

    with pytest.raises(TooManyEvents, match="65537"):
        save_in_two_parts()
    assert read_all(recorder) == []


KILLED_WRITER = """
import sys, time
from uuid import UUID
from eventsourcing.persistence import StoredEvent
from infrastructure.database import Database
from infrastructure.event_store import EventRecorder

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
        cwd=Path(__file__).parents[2],
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


@pytest.fixture
def younger_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_restored_dump_goes_on_above_its_last_event(
    postgres_server: PostgresServer, younger_server: PostgresServer
) -> None:
    name = postgres_server.create_database()
    with postgres_server.connect(name) as connection:
        connection.execute(
            "DO $$ BEGIN FOR i IN 1..3000 LOOP"
            " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    stream = uuid4()
    old = Database(postgres_server.url(name))
    migrate_ledger(old)
    EventRecorder(old).insert_events([event(stream, 1), event(stream, 2)])
    old.close()

    restored = younger_server.create_database()
    dump = postgres_server.run("pg_dump", name)
    younger_server.run("psql", "-q", "-v", "ON_ERROR_STOP=1", restored, given=dump)
    postgres_server.drop_database(name)

    new = Database(younger_server.url(restored))
    recorder = EventRecorder(new)
    assert read_all(recorder) == []
    migrate_ledger(new)
    follower = Follower(recorder)
    follower.catch_up()
    assert [n.originator_version for n in follower.seen] == [1, 2]
    recorder.insert_events([event(stream, 3)])
    follower.catch_up()
    assert [n.originator_version for n in follower.seen] == [1, 2, 3]
    base = text("SELECT base FROM log_epoch")
    with new.reading() as connection2:
        raised = connection2.execute(base).scalar_one()
    assert raised > 0
    migrate_ledger(new)
    with new.reading() as connection2:
        assert connection2.execute(base).scalar_one() == raised
    new.close()


def test_starting_beside_an_open_transaction_leaves_the_base_alone(postgres_store: Store) -> None:
    with postgres_store.database.transaction() as oldest:
        oldest.execute(text("SELECT pg_current_xact_id()"))
        with ThreadPoolExecutor(1) as pool:
            save = pool.submit(postgres_store.recorder().insert_events, [event(uuid4())])
            save.result(PATIENCE_SECONDS)
            pool.submit(migrate_ledger, postgres_store.database).result(PATIENCE_SECONDS)
    with postgres_store.database.reading() as connection:
        assert connection.execute(text("SELECT base FROM log_epoch")).scalar_one() == 0
