"""The backlog's counters say what counting the queue row by row would say."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID

from domain.workers.matching import Candidate, Capabilities
from projections.backlog.reader import BacklogReader
from projections.backlog.tables import BACKLOG_COUNTER
from projections.sql.rows import replace_row
from projections.status.fold import RequestStatus
from tests.view_world import LARGE, ViewWorld

SMALL = Capabilities(("B",), 1, 512 * 512, False, 1, False, "test:1:small")


def statuses_of(world: ViewWorld, requests: list[UUID]) -> list[RequestStatus]:
    return [world.status(request_id) for request_id in requests]


def in_order_of_service(statuses: list[RequestStatus]) -> list[RequestStatus]:
    """Return what waits as the queue serves it; ``statuses`` are in order of arrival."""
    waiting = [status for status in statuses if status.waiting]
    return sorted(waiting, key=lambda status: -status.priority)


def assert_counters_are_right(world: ViewWorld, requests: list[UUID]) -> None:
    statuses = statuses_of(world, requests)
    waiting = in_order_of_service(statuses)
    backlog = world.hoard.views.backlog
    work = 0
    for place, status in enumerate(waiting):
        ahead = backlog.ahead_of(status)
        assert ahead.requests == place
        assert ahead.megapixelsteps == work / 1_000_000
        assert backlog.position_of(status) == place
        work += status.waiting * status.pixelsteps
    for status in statuses:
        if not status.waiting:
            assert backlog.position_of(status) == 0
            assert backlog.work_ahead(status) == 0
    assert backlog.waiting_requests() == len(waiting)
    assert backlog.waiting_work() == work / 1_000_000


def test_positions_are_those_of_the_queue_itself(world: ViewWorld) -> None:
    random_source = random.Random(7)
    priorities = [0.0, 0.0, 0.0, -25.5, 1.0, 10.0, 10.25, 3e6, 3e6 + 0.01]
    requests = [
        world.submit(
            random_source.randint(1, 20),
            side=random_source.choice([512, 1024]),
            priority=random_source.choice([*priorities, random_source.uniform(-50, 5e6)]),
        )
        for _ in range(150)
    ]
    world.follow()
    assert_counters_are_right(world, requests)

    expected = in_order_of_service(statuses_of(world, requests))
    one_by_one = replace(LARGE, amount=1)
    first = [world.pop(capabilities=one_by_one) for _ in range(3)]
    assert {job.request_id for job in first} <= {s.request_id for s in expected[:3]}
    for request_id in random_source.sample(requests, 20):
        world.hoard.ledger.requests.cancel(request_id)
    jobs = [world.pop(f"worker {place}") for place in range(3) for _ in range(10)]
    for place, job in enumerate(jobs):
        if place % 3 == 0:
            world.deliver(job)
        elif place % 3 == 1:
            world.hoard.ledger.jobs.fail(job.job_id, owner_id=world.owner_id, reason="gone")
    for follower in world.hoard.views.followers:
        while follower.catch_up(7):
            pass
    assert_counters_are_right(world, requests)


def test_positions_hold_across_the_borders_of_every_size_of_block(world: ViewWorld) -> None:
    requests: list[UUID] = []
    for arrivals in (0, 62, 4094, 262_142):
        with world.hoard.storage.view_database.transaction() as connection:
            replace_row(connection, BACKLOG_COUNTER, {"name": "arrivals", "value": arrivals})
        requests += [world.submit() for _ in range(4)]
        world.follow()
    assert_counters_are_right(world, requests)


def test_a_request_that_the_follower_has_not_met_is_behind_all_that_it_has(
    world: ViewWorld,
) -> None:
    for priority in (5.0, 0.0, 0.0, -5.0):
        world.submit(priority=priority)
    world.follow()
    late = world.submit(priority=0.0)
    assert world.hoard.views.backlog.position_of(world.status(late)) == 3


def test_skipped_requests_are_counted_by_the_reason(world: ViewWorld) -> None:
    for models, side, nsfw in [
        (("A",), 512, False),
        (("A",), 512, False),
        (("A", "B"), 1024, False),
        ((), 1024, False),
        ((), 512, True),
        ((), 512, False),
    ]:
        world.submit(3, models=models, side=side, nsfw=nsfw)
    world.follow()
    small = Candidate(UUID(int=1), SMALL, trusted=False)
    assert world.hoard.views.backlog.skipped(small) == {"models": 2, "max_pixels": 2, "nsfw": 1}
    assert world.hoard.views.backlog.skipped(Candidate(UUID(int=2), LARGE, trusted=False)) == {}
    assert world.hoard.views.backlog.waiting_images() == 18


def test_a_lane_that_ran_empty_counts_again_when_images_come_back(world: ViewWorld) -> None:
    world.submit(2, models=("A",))
    job = world.pop()
    world.follow()
    small = Candidate(UUID(int=1), SMALL, trusted=False)
    assert BacklogReader(world.hoard.storage.view_database).skipped(small) == {}
    world.hoard.ledger.jobs.fail(job.job_id, owner_id=world.owner_id, reason="gone")
    world.follow()
    # Another reader, since one may repeat what it counted a second ago.
    assert BacklogReader(world.hoard.storage.view_database).skipped(small) == {"models": 1}
