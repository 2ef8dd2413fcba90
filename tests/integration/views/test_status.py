"""The status reader is exact for everything committed before the question, follower or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID, uuid4

import pytest

from domain.requests.request import RequestState
from projections.status.reader import StatusReader
from projections.view import Log, RecordedEvent
from tests.statements import statements_of
from tests.view_world import ViewWorld


def follow_nothing(world: ViewWorld) -> None:
    """Leave the follower dead."""


def follow_one_event(world: ViewWorld) -> None:
    world.hoard.views.followers[0].catch_up(1)


def follow_all(world: ViewWorld) -> None:
    world.follow()


@pytest.mark.parametrize("follow", [follow_nothing, follow_one_event, follow_all])
def test_every_step_shows_at_once(world: ViewWorld, follow: Callable[[ViewWorld], None]) -> None:
    request_id = world.submit(5)
    seen = []

    def look() -> None:
        check = world.hoard.views.status.check(request_id)
        assert check is not None
        assert check.generations == ()
        status = world.status(request_id)
        assert (check.waiting, check.processing, check.finished) == (
            status.waiting,
            status.processing,
            status.finished,
        )
        assert len(status.generations) == status.finished
        seen.append((status.waiting, status.processing, status.finished, status.restarted))
        follow(world)

    look()
    job = world.pop()
    look()
    world.deliver(job, 1, 3)
    look()
    world.hoard.ledger.jobs.fault_image(job.image_ids[0], owner_id=world.owner_id)
    look()
    world.deliver(job, 2, 4)
    look()
    last = world.pop()
    look()
    world.deliver(last)
    look()
    assert seen == [
        (5, 0, 0, 0),
        (0, 5, 0, 0),
        (0, 3, 2, 0),
        (0, 3, 2, 0),
        (1, 0, 4, 1),
        (0, 1, 4, 1),
        (0, 0, 5, 1),
    ]
    status = world.status(request_id)
    assert status.state is RequestState.COMPLETED
    assert status.done
    assert [g.image_id for g in status.generations] == [
        *(job.image_ids[place] for place in (1, 3, 2, 4)),
        last.image_ids[0],
    ]
    assert {g.worker_name for g in status.generations} == {"worker"}


def test_a_cancelled_request_keeps_what_was_made(world: ViewWorld) -> None:
    request_id = world.submit(4)
    job = world.pop()
    world.deliver(job, 2)
    world.follow()
    world.hoard.ledger.requests.cancel(request_id)
    status = world.status(request_id)
    assert (status.state, status.waiting, status.processing, status.finished) == (
        RequestState.CANCELLED,
        0,
        0,
        1,
    )
    assert [g.batch_index for g in status.generations] == [2]


def test_ids_that_are_no_requests_have_no_status(world: ViewWorld) -> None:
    world.submit(2)
    job = world.pop()
    for follow in (follow_nothing, follow_all):
        follow(world)
        for stranger in (uuid4(), job.job_id, job.worker_id, job.image_ids[0], UUID(int=0)):
            assert world.hoard.views.status.check(stranger) is None
            assert world.hoard.views.status.status(stranger) is None


def test_an_image_shows_only_in_the_request_whose_job_made_it(world: ViewWorld) -> None:
    first, second = world.submit(2), world.submit(2)
    jobs = {job.request_id: job for job in (world.pop(), world.pop())}
    for job in jobs.values():
        world.deliver(job)
    for follow in (follow_nothing, follow_one_event, follow_all):
        follow(world)
        for request_id in (first, second):
            shown = {g.image_id for g in world.status(request_id).generations}
            assert shown == set(jobs[request_id].image_ids)


class CountingLog:
    """The log, counting how often it is asked for tails."""

    def __init__(self, log: Log) -> None:
        self.asked = 0
        self._log = log
        self.after = log.after
        self.committed_after = log.committed_after
        self.last_position = log.last_position

    def tails(self, versions: Mapping[UUID, int]) -> Sequence[RecordedEvent]:
        self.asked += 1
        return self._log.tails(versions)


def test_a_check_costs_two_reads_whatever_was_generated(world: ViewWorld) -> None:
    request_id = world.submit(20)
    world.deliver(world.pop())
    world.follow()
    log = CountingLog(world.hoard.storage.log)
    reader = StatusReader(world.hoard.storage.view_database, log)
    with (
        world.hoard.storage.view_database.reading() as connection,
        statements_of(connection) as statements,
    ):
        assert reader.check(request_id) is not None
    assert log.asked == 1
    assert len([statement for statement in statements if "request_status" in statement]) == 1
    assert not any("request_generation" in statement for statement in statements)
