"""Followers: every event exactly once, whatever fails, however many follow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, delete, insert, select

from domain.requests.request import Request
from projections.following.log_follower import FollowerFailed
from projections.following.positions import VIEW_POSITIONS
from projections.following.views import ViewFollower
from projections.view import RecordedEvent
from tests.view_world import ViewWorld
from tests.waiting import wait_until

METADATA = MetaData()
SEEN = Table("seen", METADATA, Column("position", BigInteger, nullable=False))


class Notebook:
    """A view that writes down every position it was given, and stumbles where it is told to."""

    name = "notebook"
    tables: Sequence[Table] = (SEEN,)

    def __init__(self) -> None:
        self.stumbles: Callable[[RecordedEvent], bool] = lambda _: False

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        rows = [{"position": record.position} for record in records]
        connection.execute(insert(SEEN), rows)
        for record in records:
            if self.stumbles(record):
                raise ZeroDivisionError


@pytest.fixture
def notebook(world: ViewWorld) -> Notebook:
    with world.hoard.storage.view_database.transaction() as connection:
        METADATA.create_all(connection)
    return Notebook()


def follower_of(world: ViewWorld, view: Notebook) -> ViewFollower:
    return ViewFollower(view, world.hoard.storage.log, world.hoard.storage.view_database)


@contextmanager
def following(
    *groups: Sequence[ViewFollower], told: Callable[[Sequence[RecordedEvent]], None] | None = None
) -> Iterator[None]:
    """Follow with each group in a thread of its own, until the end of the block."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=ViewFollower.together(group, on_taken=told).follow,
            args=(stop,),
            kwargs={"interval": 0.001},
        )
        for group in groups
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def seen(world: ViewWorld) -> list[int]:
    """Return what the notebook holds, in the order of the log; twice seen is twice in it."""
    with world.hoard.storage.view_database.reading() as connection:
        return list(connection.execute(select(SEEN.c.position).order_by(SEEN.c.position)).scalars())


def logged(world: ViewWorld) -> list[int]:
    return [record.position for record in world.hoard.storage.log.after(0, 10_000)]


def test_portions_join_without_gap_or_overlap(world: ViewWorld, notebook: Notebook) -> None:
    for _ in range(10):
        world.submit(2)
    world.deliver(world.pop())
    follower = follower_of(world, notebook)
    assert follower.position() == 0
    portions = []
    while applied := follower.catch_up(4):
        portions.append(applied)
    assert sum(portions) == len(logged(world))
    assert seen(world) == logged(world)
    assert follower.position() == world.hoard.storage.log.last_position()


def test_a_failure_in_mid_portion_leaves_neither_rows_nor_position(
    world: ViewWorld, notebook: Notebook
) -> None:
    for _ in range(5):
        world.submit()
    follower = follower_of(world, notebook)
    poisoned = logged(world)[3]
    notebook.stumbles = lambda record: record.position == poisoned
    with pytest.raises(FollowerFailed) as failure:
        follower.catch_up()
    assert (failure.value.name, failure.value.position) == ("notebook", poisoned)
    assert seen(world) == logged(world)[:3]
    assert follower.position() == logged(world)[2]

    notebook.stumbles = lambda _: False
    follower.catch_up()
    assert seen(world) == logged(world)


def test_followers_that_race_apply_every_event_once(world: ViewWorld, notebook: Notebook) -> None:
    followers = [follower_of(world, notebook) for _ in range(3)]
    with following(*([follower] for follower in followers)), ThreadPoolExecutor(3) as writers:
        for _ in range(120):
            writers.submit(world.submit)
        wait_until(lambda: len(logged(world)) == 121, "the writers")
        wait_until(lambda: followers[0].position() == logged(world)[-1], "the last event")
    assert seen(world) == logged(world)


def test_a_view_that_fails_holds_up_no_other(world: ViewWorld, notebook: Notebook) -> None:
    status = world.hoard.views.followers[0]
    mended = threading.Event()
    notebook.stumbles = lambda record: (
        isinstance(record.event, Request.Submitted) and not mended.is_set()
    )
    told: list[RecordedEvent] = []
    with following([status, follower_of(world, notebook)], told=told.extend):
        request_id = world.submit()
        wait_until(lambda: status.position() == logged(world)[-1], "the status view")
        wait_until(lambda: seen(world) == logged(world)[:-1], "all but the event that fails")
        mended.set()
        wait_until(lambda: seen(world) == logged(world), "the mended view")
    assert [record.position for record in told] == logged(world)
    assert told[-1].event.originator_id == request_id


def test_a_follower_that_starts_again_goes_on_where_it_was(
    world: ViewWorld, notebook: Notebook
) -> None:
    world.submit()
    follower_of(world, notebook).catch_up(1)
    world.submit()
    again = follower_of(world, notebook)
    assert again.position() == logged(world)[0]
    again.catch_up()
    assert seen(world) == logged(world)


def test_views_that_stand_apart_come_together(world: ViewWorld, notebook: Notebook) -> None:
    status, behind = world.hoard.views.followers[0], follower_of(world, notebook)
    for _ in range(3):
        world.submit()
    status.catch_up()
    behind.catch_up(1)
    with following([status, behind]):
        world.submit()
        wait_until(lambda: status.position() == logged(world)[-1], "the first view")
        wait_until(lambda: behind.position() == logged(world)[-1], "the view behind")
    assert seen(world) == logged(world)


def test_a_view_that_was_put_back_takes_the_events_again(
    world: ViewWorld, notebook: Notebook
) -> None:
    world.submit()
    follower = follower_of(world, notebook)
    with following([world.hoard.views.followers[0], follower]):
        wait_until(lambda: seen(world) == logged(world), "the first time")
        with world.hoard.storage.view_database.transaction() as connection:
            VIEW_POSITIONS.lock(connection, notebook.name)
            connection.execute(delete(SEEN))
            VIEW_POSITIONS.set(connection, notebook.name, 0)
        wait_until(lambda: seen(world) == logged(world), "the second time")


# SQLite has one writer: there everybody waits for whoever replaces a view.
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_views_move_together_past_one_that_is_elsewhere_or_held(world: ViewWorld) -> None:
    database = world.hoard.storage.view_database

    def move(old: int, new: int) -> Collection[str]:
        with database.transaction() as connection:
            return VIEW_POSITIONS.move_many(connection, ["a", "b", "c"], old=old, new=new)

    assert move(0, 5) == {"a", "b", "c"}
    with database.transaction() as connection, ThreadPoolExecutor(1) as another:
        VIEW_POSITIONS.lock(connection, "b")
        VIEW_POSITIONS.set(connection, "c", 4)
        assert another.submit(move, 5, 6).result() == {"a"}
    with database.reading() as connection:
        assert VIEW_POSITIONS.read_many(connection, ["a", "b", "c", "d"]) == {
            "a": 6,
            "b": 5,
            "c": 4,
        }
    assert move(5, 6) == {"b"}
