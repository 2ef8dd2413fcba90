from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.images.provenance import Provenance
from domain.jobs.image_ids import job_of
from domain.jobs.job import ImageState, Job, JobState
from domain.requests.request import RequestState
from domain.return_codes import Refused
from infrastructure.bootstrap import Hoard
from tests.unit.workers.inference.worker_scene import (
    PROMPT,
    STEPS,
    Scene,
    picture_of,
    scene_in,
)
from workers.engines.protocol import (
    Batch,
    EngineFailed,
)
from workers.inference.image_files import pixels_sha256, read_provenance
from workers.inference.lease_watch import Watchdog
from workers.inference.task import work_until_idle


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_in(tmp_path)


def test_twenty_images_are_one_job_and_one_batch(scene: Scene) -> None:
    request_id = scene.ask(20)

    assert scene.work() == 1

    (batch,) = scene.engine.batches
    assert len(batch.image_ids) == 20
    assert batch.prompt == PROMPT
    assert scene.request(request_id).state is RequestState.COMPLETED
    generated = scene.events(Job.ImageGenerated)
    assert [event.batch_index for event in generated] == list(range(20))
    for event in generated:
        made = picture_of(batch.seed, event.batch_index, 20)
        assert event.making == Provenance(
            engine="pattern 1",
            device="cpu test",
            model_sha256="ab" * 32,
            batch_size=20,
            place=event.batch_index,
            pixels_sha256=pixels_sha256(made),
        )
        file = scene.hoard.storage.blobs.get(event.digest)
        said = read_provenance(file)
        assert said is not None
        assert (said.image, said.batch_index) == (str(event.image_id), event.batch_index)


def test_asks_again_until_nothing_waits(scene: Scene) -> None:
    requests = [scene.ask(20), scene.ask(3)]

    assert scene.work() == 2

    assert {scene.request(each).state for each in requests} == {RequestState.COMPLETED}


def test_rings_for_one_more_worker_on_the_first_hit_only(scene: Scene) -> None:
    scene.work()
    assert scene.wakeups == 0

    scene.ask(20)
    scene.ask(20)
    scene.work()
    assert scene.wakeups == 1


def test_a_turn_ends_after_ten_minutes_and_rings_for_the_next(scene: Scene) -> None:
    scene.engine.during = lambda _batch, _step: scene.clock.advance(timedelta(seconds=35))
    for _ in range(6):
        scene.ask(20)

    assert scene.work() == 5
    assert scene.wakeups == 2
    assert scene.work() == 1


def test_a_request_that_fails_on_every_try_ends_as_faulted(scene: Scene) -> None:
    def fail(_batch: Batch, _step: int) -> None:
        raise EngineFailed("the scheduler does not know this sampler")

    scene.engine.during = fail
    request_id = scene.ask(20)

    tries = scene.work()

    assert 1 < tries < 10
    assert scene.request(request_id).state is RequestState.FAULTED
    assert set(scene.failures()) == {"the scheduler does not know this sampler"}


def test_an_error_that_quotes_the_prompt_reaches_neither_history_nor_log(scene: Scene) -> None:
    def fail(batch: Batch, _step: int) -> None:
        raise RuntimeError(f"cannot draw {batch.prompt}")

    scene.engine.during = fail
    scene.ask(20)

    with capture_logs() as entries:
        scene.work()

    assert set(scene.failures()) == {"the worker failed with RuntimeError"}
    assert any(entry["event"] == "batch failed" for entry in entries)
    assert PROMPT not in repr(entries)


def test_a_batch_stops_when_its_lease_ends_and_its_images_are_made_again(scene: Scene) -> None:
    def overrun(batch: Batch, step: int) -> None:
        if len(scene.engine.batches) == 1 and step == 2:
            scene.clock.time = scene.job(batch.job_id).lease_ends_at
            scene.hoard.ledger.jobs.expire_lease(batch.job_id)

    scene.engine.during = overrun
    request_id = scene.ask(20)

    assert scene.work() == 2

    late, again = scene.jobs()
    assert (late.state, len(late.delivered)) == (JobState.LEASE_EXPIRED, 0)
    assert (again.state, len(again.delivered)) == (JobState.COMPLETED, 20)
    assert scene.engine.steps_run == 2 + STEPS
    assert scene.request(request_id).delivered == 20


def test_a_batch_stops_soon_after_its_request_was_cancelled(scene: Scene) -> None:
    request_id = scene.ask(20)

    def cancel(_batch: Batch, step: int) -> None:
        if step == 1:
            scene.hoard.ledger.requests.cancel(request_id)
        scene.clock.advance(timedelta(seconds=1))

    scene.engine.during = cancel

    assert scene.work() == 1

    assert scene.engine.steps_run == 2
    assert scene.jobs()[0].state is JobState.CANCELLED


def test_a_result_that_comes_late_is_refused_and_changes_nothing(scene: Scene) -> None:
    request_id = scene.ask(20)

    def lose(batch: Batch, step: int) -> None:
        if len(scene.engine.batches) == 1 and step == STEPS:
            lease_ends_at = scene.job(batch.job_id).lease_ends_at
            on_time, scene.clock.time = scene.clock.time, lease_ends_at
            scene.hoard.ledger.jobs.expire_lease(batch.job_id)
            # This worker's clock is slow: it still believes in its lease.
            scene.clock.time = on_time

    scene.engine.during = lose

    assert scene.work() == 2

    late, again = scene.jobs()
    assert (late.state, len(late.delivered)) == (JobState.LEASE_EXPIRED, 0)
    assert len(again.delivered) == 20
    assert scene.request(request_id).delivered == 20
    with pytest.raises(Refused, match="AbortedGen"):
        scene.hoard.ledger.jobs.submit_image(
            late.image_ids[0],
            owner_id=scene.worker.owner_id,
            digest="0" * 64,
            seed=1,
            state=ImageState.OK,
        )


def test_an_image_that_is_there_already_does_not_hold_up_the_others(scene: Scene) -> None:
    def deliver_first(batch: Batch, step: int) -> None:
        if step == STEPS:
            scene.hoard.ledger.jobs.submit_image(
                batch.image_ids[0],
                owner_id=scene.worker.owner_id,
                digest=scene.hoard.storage.blobs.put(b"from another process"),
                seed=batch.seed,
                state=ImageState.OK,
            )

    scene.engine.during = deliver_first
    request_id = scene.ask(20)

    assert scene.work() == 1

    assert scene.request(request_id).state is RequestState.COMPLETED
    assert len(scene.jobs()[0].delivered) == 20


def test_images_that_the_engine_left_out_go_back_to_the_queue(scene: Scene) -> None:
    scene.engine.leaves_out = frozenset({3, 7})

    def next_time_all(_batch: Batch, _step: int) -> None:
        if len(scene.engine.batches) == 2:
            scene.engine.leaves_out = frozenset()

    scene.engine.during = next_time_all
    request_id = scene.ask(20)

    assert scene.work() == 2

    first, second = scene.jobs()
    assert first.faulted == {3, 7}
    assert len(second.image_ids) == 2
    assert scene.request(request_id).state is RequestState.COMPLETED


def test_a_worker_that_was_asked_to_stop_starts_nothing_and_rings_for_others(scene: Scene) -> None:
    scene.stop.asked = True
    request_id = scene.ask(20)

    assert scene.work() == 0

    assert scene.wakeups == 1
    assert scene.request(request_id).remaining == 20


def test_a_worker_that_has_to_stop_returns_its_images_at_once(scene: Scene) -> None:
    def stop(_batch: Batch, step: int) -> None:
        scene.stop.asked = scene.stop.due = step == 2

    scene.engine.during = stop
    request_id = scene.ask(20)

    assert scene.work() == 1

    assert scene.engine.steps_run == 2
    assert scene.failures() == ["the worker was stopped"]
    assert scene.request(request_id).remaining == 20


@dataclass
class FullDisk:
    """A blob store that fails a number of times before it works."""

    inner: Hoard
    failures: int

    def put(self, data: bytes) -> str:
        if self.failures > 0:
            self.failures -= 1
            raise OSError("no space left on device")
        return self.inner.storage.blobs.put(data)

    def get(self, digest: str) -> bytes:
        return self.inner.storage.blobs.get(digest)


def test_delivery_is_tried_again_while_the_lease_holds(scene: Scene) -> None:
    request_id = scene.ask(2)
    workplace = replace(scene.workplace, blobs=FullDisk(scene.hoard, failures=3))

    assert work_until_idle(scene.worker, workplace) == 1

    assert len(scene.pauses) == 3
    assert scene.request(request_id).state is RequestState.COMPLETED


def test_delivery_that_never_works_gives_the_batch_up_when_the_lease_is_over(scene: Scene) -> None:
    request_id = scene.ask(2)
    full = replace(
        scene.workplace,
        blobs=FullDisk(scene.hoard, failures=10**6),
        pause=lambda _seconds: scene.clock.advance(timedelta(seconds=60)),
    )

    work_until_idle(scene.worker, full)

    assert scene.failures()[0] == "the worker failed with OSError"
    assert scene.request(request_id).state is RequestState.FAULTED


def test_a_database_that_does_not_answer_for_a_moment_does_not_stop_a_batch(scene: Scene) -> None:
    def unreachable(_job_id: UUID) -> bool:
        raise ConnectionError("no database")

    scene.engine.during = lambda _batch, _step: scene.clock.advance(timedelta(seconds=3))
    request_id = scene.ask(2)

    work_until_idle(scene.worker, replace(scene.workplace, is_leased=unreachable))

    assert scene.request(request_id).state is RequestState.COMPLETED


def test_a_worker_is_present_with_all_that_it_declares(scene: Scene) -> None:
    scene.work()

    (row,) = scene.hoard.views.presence.present()
    entry = scene.hoard.inline.directory.worker_by_name("in-cluster")
    assert entry is not None
    assert row.worker_id == entry.worker_id
    assert entry.capabilities == scene.worker.capabilities(scene.engine.abilities())
    assert entry.capabilities.img2img
    assert not entry.capabilities.painting
    assert entry.capabilities.features == ("hires_fix", "replication")


def test_a_refused_pop_ends_the_turn(scene: Scene) -> None:
    scene.work()
    stranger = replace(scene.worker, owner_id=UUID(int=5))
    scene.ask(1)

    assert work_until_idle(stranger, scene.workplace) == 0


def test_the_engine_runs_under_a_watchdog_that_knows_when_the_lease_ends(scene: Scene) -> None:
    moments: list[tuple[datetime, datetime]] = []
    inner = Watchdog(scene.clock)

    @contextmanager
    def watched(moment: Callable[[], datetime]) -> Iterator[None]:
        before = moment()
        with inner.until(moment):
            yield
        moments.append((before, moment()))

    scene.ask(1)
    scene.engine.during = lambda _batch, _step: scene.clock.advance(timedelta(seconds=30))
    work_until_idle(scene.worker, replace(scene.workplace, time_limit=watched))

    (job,) = scene.jobs()
    ((first, last),) = moments
    assert job_of(job.image_ids[0]) == job.id
    assert (first, last) == (job.created_on + job.lease, job.lease_ends_at)
    assert first < last
