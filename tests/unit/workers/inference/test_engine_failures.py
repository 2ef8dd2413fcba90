"""Long batches, engines that fail or go away, and memory that does not suffice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from domain.jobs.job import Job, JobState
from domain.requests.request import RequestState
from tests.unit.workers.inference.worker_scene import (
    STEPS,
    Scene,
    scene_in,
)
from workers.engines.protocol import (
    Batch,
    EngineAway,
    EngineFailed,
    OutOfMemory,
)
from workers.inference.task import work_until_idle


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_in(tmp_path)


def test_a_batch_that_makes_progress_keeps_its_lease_for_as_long_as_it_takes(scene: Scene) -> None:
    scene.engine.during = lambda _batch, _step: scene.clock.advance(timedelta(seconds=100))
    request_id = scene.ask(2)

    assert scene.work() == 1

    (job,) = scene.jobs()
    assert 2 * job.lease.total_seconds() < STEPS * 100
    assert len(scene.events(Job.LeaseRenewed)) == STEPS
    assert scene.request(request_id).state is RequestState.COMPLETED


def test_a_lease_is_renewed_only_when_less_than_half_of_it_is_left(scene: Scene) -> None:
    scene.engine.during = lambda _batch, _step: scene.clock.advance(timedelta(seconds=18))
    scene.ask(2)
    scene.work()
    assert scene.events(Job.LeaseRenewed) == []


def test_out_of_memory_halves_what_the_worker_declares_and_the_event_says_so(scene: Scene) -> None:
    def fit(batch: Batch, _step: int) -> None:
        if batch.size > 6:
            raise OutOfMemory("out of memory")

    scene.engine.during = fit
    request_id = scene.ask(20)

    scene.work()

    assert scene.failures() == [
        "out of memory with 20 images; declares 10 from now on",
        "out of memory with 10 images; declares 5 from now on",
    ]
    assert scene.amounts() == [10, 5]
    assert [batch.size for batch in scene.engine.batches] == [20, 10, 5, 5, 5, 5]
    assert scene.request(request_id).state is RequestState.COMPLETED


def test_a_single_image_that_does_not_fit_lowers_nothing(scene: Scene) -> None:
    def fail(_batch: Batch, _step: int) -> None:
        raise OutOfMemory("out of memory")

    scene.engine.during = fail
    scene.ask(1)

    scene.work()

    assert set(scene.failures()) == {"out of memory with 1 image"}
    assert scene.amounts() == []


def test_an_engine_that_goes_away_fails_its_job_at_once_and_is_waited_for(scene: Scene) -> None:
    def go(_batch: Batch, step: int) -> None:
        if len(scene.engine.batches) == 1 and step == 2:
            gone.append(True)
            raise EngineAway("ComfyUI went away in mid-job")

    gone: list[bool] = []
    scene.engine.is_away = lambda: bool(gone) and len(scene.pauses) < 5
    scene.engine.during = go
    request_id = scene.ask(20)

    assert scene.work() == 2

    assert scene.failures() == ["ComfyUI went away in mid-job"]
    assert len(scene.pauses) == 7
    assert scene.request(request_id).state is RequestState.COMPLETED


def test_a_worker_whose_engine_is_away_takes_no_job_and_stops_when_asked(scene: Scene) -> None:
    scene.engine.is_away = lambda: True
    request_id = scene.ask(20)

    def pause(_seconds: float) -> None:
        scene.stop.asked = True

    assert work_until_idle(scene.worker, replace(scene.workplace, pause=pause)) == 0

    assert scene.request(request_id).remaining == 20
    assert scene.engine.asked == 1
    assert scene.wakeups == 2


def test_a_worker_whose_engine_stays_away_ends_its_turn(scene: Scene) -> None:
    scene.engine.is_away = lambda: True
    scene.ask(20)

    workplace = replace(
        scene.workplace, pause=lambda seconds: scene.clock.advance(timedelta(seconds=seconds))
    )
    assert work_until_idle(scene.worker, workplace) == 0

    # 1, 2, 4, 8 and 16 seconds apart, then every half a minute.
    assert scene.engine.asked == 1 + 5 + (600 - 31) // 30


def test_an_engine_that_cannot_serve_ends_the_turn(scene: Scene) -> None:
    def refuse() -> bool:
        raise EngineFailed("there is no model")

    scene.engine.is_away = refuse
    scene.ask(1)

    assert scene.work() == 0


def test_a_batch_that_is_interrupted_at_its_leases_end_is_left_to_the_ledger(scene: Scene) -> None:
    def interrupt(batch: Batch, _step: int) -> None:
        if len(scene.engine.batches) == 1:
            scene.clock.time = scene.job(batch.job_id).lease_ends_at
            scene.hoard.ledger.jobs.expire_lease(batch.job_id)
            raise SoftTimeLimitExceeded

    scene.engine.during = interrupt
    request_id = scene.ask(3)

    assert scene.work() == 2

    assert scene.failures() == []
    assert scene.jobs()[0].state is JobState.LEASE_EXPIRED
    assert scene.request(request_id).state is RequestState.COMPLETED
