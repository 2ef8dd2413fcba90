"""Workers, models, statistics and presence: who made what, how fast, and who is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from projections.following.rebuild import verify
from projections.models.reader import ModelsReader, ModelStatus
from projections.models.tables import ANY_MODEL
from projections.statistics.reader import Made
from projections.workers.presence import Presence
from projections.workers.reader import WorkersReader
from tests.view_world import LARGE, ViewWorld

MEGAPIXELSTEPS = 20 * 512 * 512 / 1_000_000


class HandSeconds:
    """A clock of seconds that passes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def models_of(world: ViewWorld) -> dict[str, ModelStatus]:
    presence = Presence(world.hoard.storage.view_database, world.clock)
    return {
        model.name: model
        for model in ModelsReader(world.hoard.storage.view_database, presence).all()
    }


def test_a_worker_s_record_counts_what_it_made_and_what_it_gave_up(world: ViewWorld) -> None:
    world.submit(4)
    job = world.pop("first")
    world.deliver(job, seconds=10)
    world.submit(2)
    world.hoard.ledger.jobs.fail(
        world.pop("first").job_id, owner_id=world.owner_id, reason="out of memory"
    )
    lapsed = world.pop("first")
    world.clock.advance(timedelta(hours=1))
    world.hoard.ledger.jobs.expire_lease(lapsed.job_id)
    other = world.pop("second")
    world.hoard.ledger.requests.cancel(other.request_id)
    world.follow()

    first, second = world.hoard.views.workers.all()
    assert (first.name, first.owner_id) == ("first", world.owner_id)
    assert first.capabilities == LARGE
    assert (first.jobs, first.uncompleted_jobs, first.images) == (1, 2, 4)
    assert first.megapixelsteps == 4 * MEGAPIXELSTEPS
    assert first.kudos == pytest.approx(4 * 4.33)
    assert first.speed == pytest.approx(4 * MEGAPIXELSTEPS / 10)
    assert (second.jobs, second.uncompleted_jobs, second.speed) == (0, 0, None)
    assert world.hoard.views.workers.worker(first.worker_id) == first
    assert world.hoard.views.workers.worker(UUID(int=7)) is None


def test_a_new_declaration_is_the_one_that_counts(world: ViewWorld) -> None:
    world.submit(1)
    world.pop("worker")
    smaller = replace(LARGE, amount=3)
    world.submit(1)
    world.pop("worker", smaller)
    world.follow()
    (worker,) = world.hoard.views.workers.all()
    assert worker.capabilities == smaller


def test_slowness_is_measured_as_a_moving_average(world: ViewWorld) -> None:
    world.submit(1)
    job = world.pop()
    world.follow()
    assert not world.hoard.views.workers.is_slow(job.worker_id)

    world.deliver(job, seconds=MEGAPIXELSTEPS / 0.5)
    world.follow()
    reader = WorkersReader(world.hoard.storage.view_database)
    assert reader.speed_of(job.worker_id) == pytest.approx(0.5)
    assert reader.is_slow(job.worker_id)

    world.submit(1)
    world.deliver(world.pop(), seconds=MEGAPIXELSTEPS / 5.5)
    world.follow()
    reader = WorkersReader(world.hoard.storage.view_database)
    assert reader.speed_of(job.worker_id) == pytest.approx(1.5)
    assert not reader.is_slow(job.worker_id)


def test_what_waits_is_counted_for_each_model_that_a_request_allows(world: ViewWorld) -> None:
    world.submit(3, models=("A", "B"))
    world.submit(2, models=("B",))
    cancelled = world.submit(5, models=("C",))
    world.submit(4)
    world.hoard.ledger.requests.cancel(cancelled)
    world.follow()
    models = models_of(world)
    assert {
        name: (model.record.waiting_requests, model.record.waiting_images)
        for name, model in models.items()
    } == {"A": (1, 3), "B": (2, 5), ANY_MODEL: (1, 4)}


def test_a_model_s_wait_follows_from_its_speed_and_the_workers_present(world: ViewWorld) -> None:
    world.submit(4, models=("A",))
    job = world.pop()
    world.deliver(job, seconds=8)
    world.submit(10, models=("A",))
    world.follow()
    assert models_of(world)["A"].eta is None

    world.hoard.views.presence.seen(job.worker_id, LARGE)
    world.hoard.views.presence.seen(UUID(int=9), replace(LARGE, models=("B",), threads=3))
    models = models_of(world)
    assert models["A"].record.seconds_per_image == pytest.approx(2)
    assert models["A"].record.images == 4
    assert models["A"].workers == 1
    assert models["A"].eta == timedelta(seconds=20)
    assert models["B"].workers == 4
    assert models["B"].eta == timedelta()


def test_a_name_that_no_database_takes_whole_stops_no_view(world: ViewWorld) -> None:
    names = ("a\0b", "x" * 5000)
    world.submit(1, models=names)
    world.submit(1, models=("ab",))
    world.deliver(world.pop("w", replace(LARGE, models=names)))
    world.follow()
    models = models_of(world)
    assert models["ab"].record.images == 1
    assert models["ab"].record.waiting_requests == 1
    for follower in world.hoard.views.followers:
        assert verify(
            follower.view, world.hoard.storage.log, world.hoard.storage.view_database
        ).holds
    assert world.hoard.views.statistics.by_model() == [
        Made("ab", 1, models["ab"].record.pixelsteps)
    ]


def test_statistics_add_up_by_hour_and_model(world: ViewWorld) -> None:
    start = world.clock.now()
    for model, images, minutes in [("A", 2, 0), ("A", 1, 59), ("B", 3, 1), ("A", 4, 61)]:
        world.clock.advance(timedelta(minutes=minutes))
        world.submit(images, models=(model,))
        world.deliver(world.pop())
        world.follow()

    def counted(made: Made) -> tuple[datetime | None, str, int]:
        return made.hour, made.model, made.images

    statistics = world.hoard.views.statistics
    hour = timedelta(hours=1)
    assert [counted(made) for made in statistics.hours(start)] == [
        (start, "A", 3),
        (start + hour, "B", 3),
        (start + 2 * hour, "A", 4),
    ]
    assert [counted(made) for made in statistics.hours(start + hour, start + 2 * hour)] == [
        (start + hour, "B", 3)
    ]
    assert [counted(made) for made in statistics.by_model()] == [(None, "A", 7), (None, "B", 3)]
    assert [counted(made) for made in statistics.by_model(start + hour)] == [
        (None, "A", 4),
        (None, "B", 3),
    ]
    total = statistics.total()
    assert (total.images, total.megapixelsteps) == (10, 10 * MEGAPIXELSTEPS)


def test_presence_writes_once_in_five_seconds_and_at_once_when_something_is_new(
    world: ViewWorld,
) -> None:
    seconds = HandSeconds()
    presence = Presence(world.hoard.storage.view_database, world.clock, seconds)
    worker_id = UUID(int=5)

    def seen_at() -> list[datetime]:
        seconds.seconds += 2
        return [worker.seen_at for worker in presence.present()]

    start = world.clock.now()
    presence.seen(worker_id, LARGE)
    assert seen_at() == [start]
    world.clock.advance(timedelta(seconds=4))
    presence.seen(worker_id, LARGE)
    assert seen_at() == [start]
    presence.seen(worker_id, replace(LARGE, threads=2))
    assert seen_at() == [start + timedelta(seconds=4)]
    world.clock.advance(timedelta(seconds=5))
    presence.seen(worker_id, replace(LARGE, threads=2))
    assert seen_at() == [start + timedelta(seconds=9)]
    world.clock.advance(timedelta(minutes=6))
    assert seen_at() == []


def test_jobs_that_ended_leave_nothing_behind(world: ViewWorld) -> None:
    world.submit(3)
    world.deliver(world.pop())
    world.follow()
    with world.hoard.storage.view_database.reading() as connection:
        for follower in world.hoard.views.followers:
            for table in follower.view.tables:
                if "open" in table.name:
                    assert connection.execute(table.select()).all() == []
