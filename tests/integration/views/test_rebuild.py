"""Views are disposable: verify finds whatever is wrong with one, rebuild puts it right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Table, delete, insert, select, update

from domain.jobs.commands import PopJob
from projections.backlog.tables import BACKLOG_BLOCK
from projections.following.positions import VIEW_POSITIONS
from projections.following.rebuild import Report, rebuild, verify
from projections.queue.tables import OPEN_REQUEST
from projections.status.tables import REQUEST_GENERATION, REQUEST_STATUS
from projections.view import View, ViewDatabase
from tests.delivery_world import DeliveryWorld, address, numbered
from tests.view_world import LARGE, ViewWorld
from tests.waiting import wait_until


@dataclass(frozen=True)
class Served:
    view: View
    database: ViewDatabase


def all_served(world: ViewWorld) -> Iterator[Served]:
    hoard = world.hoard
    for view in hoard.inline.all:
        yield Served(view, hoard.storage.ledger_database)
    for follower in hoard.views.followers:
        yield Served(follower.view, hoard.storage.view_database)


def served(world: ViewWorld, name: str) -> Served:
    return next(each for each in all_served(world) if each.view.name == name)


def verified(world: ViewWorld, name: str) -> Report:
    each = served(world, name)
    return verify(each.view, world.hoard.storage.log, each.database)


def live_through_much(world: ViewWorld) -> None:
    """Let every kind of thing happen that changes a view."""
    deliveries = DeliveryWorld(world.hoard, world.clock)
    deliveries.due(numbered(1), to=address(1))
    for place in range(12):
        world.submit(
            1 + place, priority=float(place % 3), models=("A",) if place % 2 else ("A", "B")
        )
    for place in range(6):
        job = world.pop(f"worker {place % 2}")
        if place == 0:
            world.hoard.ledger.requests.cancel(job.request_id)
        elif place == 1:
            world.deliver(job, 0, seconds=3)
        elif place == 2:
            world.hoard.ledger.jobs.fail(job.job_id, owner_id=world.owner_id, reason="gone")
        elif place == 3:
            world.hoard.ledger.jobs.fault_image(job.image_ids[0], owner_id=world.owner_id)
        else:
            world.deliver(job, seconds=1.1)
    world.hoard.ledger.modes.change(invite_only=True)
    deliveries.live_through_much()


def wait_for_more_events(world: ViewWorld) -> None:
    before = world.hoard.storage.log.last_position()
    wait_until(lambda: world.hoard.storage.log.last_position() > before, "more events")


@contextmanager
def repeating(*actions: Callable[[], object]) -> Iterator[None]:
    """Do each action over and over in a thread of its own, until the end of the block.

    What goes wrong in a thread goes wrong here.
    """
    stop = threading.Event()

    def repeat(action: Callable[[], object]) -> None:
        while not stop.is_set():
            action()

    with ThreadPoolExecutor(len(actions)) as threads:
        results = [threads.submit(repeat, action) for action in actions]
        try:
            yield
        finally:
            stop.set()
    for result in results:
        result.result()


def rows_of(database: ViewDatabase, table: Table) -> set[tuple[Any, ...]]:
    with database.reading() as connection:
        return {tuple(row) for row in connection.execute(select(table))}


def test_what_is_served_is_what_the_history_says(world: ViewWorld) -> None:
    live_through_much(world)
    for follower in world.hoard.views.followers:
        follower.catch_up(23)
    for each in all_served(world):
        report = verify(each.view, world.hoard.storage.log, each.database)
        assert report.differences == ()
        assert report.rows > 0
    world.follow()
    for each in all_served(world):
        report = verify(each.view, world.hoard.storage.log, each.database)
        assert report.holds
        assert report.position == world.hoard.storage.log.last_position()


def test_the_size_of_portions_makes_no_difference(world: ViewWorld) -> None:
    live_through_much(world)
    world.follow()
    at_once = {
        table.name: rows_of(each.database, table)
        for each in all_served(world)
        for table in each.view.tables
    }
    for follower in world.hoard.views.followers:
        with world.hoard.storage.view_database.transaction() as connection:
            for table in follower.view.tables:
                connection.execute(delete(table))
            connection.exec_driver_sql("DELETE FROM view_position")
    for follower in world.hoard.views.followers:
        while follower.catch_up(1):
            pass
    for each in all_served(world):
        for table in each.view.tables:
            assert rows_of(each.database, table) == at_once[table.name]


def test_a_view_that_never_followed_is_verified_as_empty(world: ViewWorld) -> None:
    world.submit()
    report = verified(world, "status")
    assert (report.holds, report.position, report.rows) == (True, 0, 0)


def test_a_changed_row_is_found_named_and_put_right(world: ViewWorld) -> None:
    live_through_much(world)
    world.follow()
    with world.hoard.storage.view_database.transaction() as connection:
        request_id = connection.execute(select(REQUEST_STATUS.c.request_id).limit(1)).scalar_one()
        connection.execute(
            update(REQUEST_STATUS)
            .where(REQUEST_STATUS.c.request_id == request_id)
            .values(restarted=99)
        )
    (difference,) = verified(world, "status").differences
    assert "request_status" in difference
    assert str(request_id) in difference
    assert "restarted is 99" in difference
    each = served(world, "status")
    rebuild(each.view, world.hoard.storage.log, each.database)
    assert verified(world, "status").holds


def test_a_missing_row_and_one_too_many_are_found(world: ViewWorld) -> None:
    live_through_much(world)
    world.follow()
    with world.hoard.storage.view_database.transaction() as connection:
        row = connection.execute(select(REQUEST_GENERATION).limit(1)).one()
        connection.execute(
            delete(REQUEST_GENERATION).where(REQUEST_GENERATION.c.image_id == row.image_id)
        )
        connection.execute(
            insert(BACKLOG_BLOCK),
            {"level": 0, "rank": 1, "number": 2, "requests": 3, "pixelsteps": 4},
        )
    (missing,) = verified(world, "status").differences
    assert missing == f"request_generation {row.image_id} is missing"
    (surplus,) = verified(world, "backlog").differences
    assert surplus == "backlog_block 0, 1, 2 should not be there"


def test_no_more_than_ten_differences_are_told(world: ViewWorld) -> None:
    for _ in range(30):
        world.submit()
    world.follow()
    with world.hoard.storage.view_database.transaction() as connection:
        connection.execute(update(REQUEST_STATUS).values(waiting=17))
    assert len(verified(world, "status").differences) == 10


def test_a_broken_queue_is_rebuilt_under_its_writers(world: ViewWorld) -> None:
    live_through_much(world)
    queue = served(world, "queue")
    with world.hoard.storage.ledger_database.transaction() as connection:
        connection.execute(update(OPEN_REQUEST).values(remaining=OPEN_REQUEST.c.remaining + 1))
    assert not verified(world, "queue").holds

    def write(worker: str) -> None:
        world.submit(2)
        world.hoard.ledger.jobs.pop(PopJob(world.owner_id, True, worker, LARGE))

    rebuild(queue.view, world.hoard.storage.log, queue.database)
    with repeating(partial(write, "worker 0"), partial(write, "worker 1")):
        for _ in range(3):
            wait_for_more_events(world)
            rebuild(queue.view, world.hoard.storage.log, queue.database)
        wait_for_more_events(world)
    for name in ("queue", "directory"):
        assert verified(world, name).differences == ()


def test_a_view_is_rebuilt_while_it_follows(world: ViewWorld) -> None:
    live_through_much(world)
    status = served(world, "status")

    def follow_on() -> None:
        world.submit()
        for follower in world.hoard.views.followers:
            follower.catch_up(3)

    reached: list[tuple[int, int]] = []
    with repeating(follow_on):
        for _ in range(3):
            rebuild(
                status.view,
                world.hoard.storage.log,
                status.database,
                lambda now, last: reached.append((now, last)),
            )
            assert verified(world, "status").differences == ()
    assert reached
    assert all(0 < now <= last for now, last in reached)
    world.follow()
    for each in all_served(world):
        assert verify(each.view, world.hoard.storage.log, each.database).differences == ()
    with world.hoard.storage.view_database.reading() as connection:
        assert VIEW_POSITIONS.read(connection, "status") == world.hoard.storage.log.last_position()
