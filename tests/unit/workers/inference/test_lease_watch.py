"""What a batch tells of its progress, to whoever looks on and to the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.jobs.job import Job
from domain.ledger.jobs import Jobs
from domain.requests.request import RequestState
from domain.return_codes import Refused
from tests.unit.workers.inference.worker_scene import STEPS, Scene, scene_in
from workers.inference.task import work_until_idle


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_in(tmp_path)


def recorded(scene: Scene) -> list[tuple[int, int]]:
    return [(event.step, event.steps) for event in scene.events(Job.Progressed)]


def took(scene: Scene, *seconds: float) -> None:
    """Let the steps of each batch take so long, one after the other."""
    assert len(seconds) == STEPS
    scene.engine.during = lambda _batch, step: scene.clock.advance(
        timedelta(seconds=seconds[step - 1])
    )


def test_each_step_is_told_to_whoever_looks_on(scene: Scene) -> None:
    told: list[tuple[UUID, int, int]] = []
    scene.ask(2)
    workplace = replace(scene.workplace, publish_progress=lambda *step: told.append(step))
    assert work_until_idle(scene.worker, workplace) == 1
    (job,) = scene.jobs()
    assert told == [(job.id, step, STEPS) for step in range(1, STEPS + 1)]


def test_quick_batches_record_no_progress(scene: Scene) -> None:
    took(scene, 2.5, 2.5, 2.5, 2.4)
    scene.ask(2)
    scene.work()
    assert recorded(scene) == []


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [
        ((10, 10, 10, 10), [1, 2, 3, 4]),
        ((5, 5, 5, 5), [2, 4]),
        ((4, 4, 4, 4), [3]),
        ((9.999, 0.001, 9.999, 0.001), [2, 4]),
        ((30, 1, 1, 7.9), [1]),
        ((30, 1, 1, 8), [1, 4]),
    ],
)
def test_a_step_is_recorded_every_ten_seconds(
    scene: Scene, seconds: tuple[float, ...], steps: list[int]
) -> None:
    took(scene, *seconds)
    scene.ask(2)
    scene.work()
    assert recorded(scene) == [(step, STEPS) for step in steps]
    events = scene.events(Job.Progressed)
    gaps = [later.timestamp - event.timestamp for event, later in pairwise(events)]
    assert all(gap.total_seconds() >= 10 for gap in gaps)


@dataclass
class Slow:
    """A ledger that takes its time to record progress: first more, then less."""

    jobs: Jobs
    scene: Scene
    seconds: list[float]
    failures: list[Exception] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def record_progress(self, job_id: UUID, *, owner_id: UUID, step: int, steps: int) -> None:
        self.asked.append(step)
        self.scene.clock.advance(timedelta(seconds=self.seconds.pop(0) if self.seconds else 0))
        if self.failures:
            raise self.failures.pop(0)
        self.jobs.record_progress(job_id, owner_id=owner_id, step=step, steps=steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jobs, name)


def test_a_slow_ledger_makes_no_record_fall_out(scene: Scene) -> None:
    slow = Slow(scene.hoard.ledger.jobs, scene, [3])
    took(scene, 10, 7, 3, 1)
    scene.ask(2)
    work_until_idle(scene.worker, replace(scene.workplace, jobs=slow))
    # The first was recorded three seconds late, so that the next is due at the third step.
    assert recorded(scene) == [(1, STEPS), (3, STEPS)]


@pytest.mark.parametrize("failure", [Refused("Locked"), OSError("no database")])
def test_a_ledger_that_fails_costs_the_record_and_not_the_batch(
    scene: Scene, failure: Exception
) -> None:
    failing = Slow(scene.hoard.ledger.jobs, scene, [], [failure])
    took(scene, 10, 5, 5, 5)
    request_id = scene.ask(2)
    with capture_logs() as entries:
        work_until_idle(scene.worker, replace(scene.workplace, jobs=failing))
    assert scene.request(request_id).state is RequestState.COMPLETED
    # After a failure, too, the ledger has ten seconds of peace.
    assert failing.asked == [1, 3]
    assert recorded(scene) == [(3, STEPS)]
    assert [each["log_level"] for each in entries if each["event"] == "progress not recorded"] == [
        "warning"
    ]
