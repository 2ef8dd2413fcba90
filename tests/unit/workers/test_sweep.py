from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.accounts.account import ANONYMOUS_ID
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.ledger.requests import Requests
from domain.requests.request import Request, RequestState
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import load_settings
from tests.prepared import assembled
from tests.world import ManualClock
from workers.chores.sweep import Swept, sweep

LEASE = timedelta(seconds=150)
LIFETIME = timedelta(minutes=20)


@dataclass
class Scene:
    hoard: Hoard
    clock: ManualClock
    rings: list[None] = field(default_factory=list)

    def ask(self) -> UUID:
        command = SubmitRequest(
            Requester(ANONYMOUS_ID),
            RequestSpecification(
                prompt="a red circle",
                negative_prompt="",
                settings=ImageSettings(512, 512, 4, "k_euler", 5.0, True, 1),
                requirements=Requirements((), 512 * 512, False, False, True, False),
                images=4,
            ),
        )
        return self.hoard.ledger.requests.submit(command)[0]

    def pop(self) -> PoppedJob:
        capabilities = Capabilities(("Any",), 20, 2048 * 2048, True, 1, False, "test:1:nobody")
        owner = self.hoard.operator.account_id
        job = self.hoard.ledger.jobs.pop(PopJob(owner, True, "worker", capabilities))
        assert isinstance(job, PoppedJob)
        return job

    def sweep(self, limit: int = 500) -> Swept:
        return sweep(
            self.hoard.inline.queue, self.hoard.ledger, self.ring, self.clock.now(), limit=limit
        )

    def ring(self) -> None:
        self.rings.append(None)

    def request(self, request_id: UUID) -> Request:
        found: Request = self.hoard.ledger.repository.get(request_id)
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    clock = ManualClock()
    settings = load_settings(data=tmp_path, ledger_url="sqlite://", views_url="sqlite://")
    return Scene(assembled(settings, clock=clock), clock)


def test_nothing_to_do_rings_nobody(scene: Scene) -> None:
    assert scene.sweep() == Swept(leases=0, requests=0, failed=0, woke=False)
    assert not scene.rings


def test_rings_as_long_as_something_waits(scene: Scene) -> None:
    scene.ask()

    assert scene.sweep().woke
    assert scene.sweep().woke
    scene.pop()
    assert not scene.sweep().woke
    assert len(scene.rings) == 2


def test_images_of_an_ended_lease_wait_again_and_are_rung_for(scene: Scene) -> None:
    request_id = scene.ask()
    scene.pop()

    scene.clock.advance(LEASE - timedelta(microseconds=1))
    assert scene.sweep().leases == 0
    scene.clock.advance(timedelta(microseconds=1))

    assert scene.sweep() == Swept(leases=1, requests=0, failed=0, woke=True)
    assert scene.request(request_id).remaining == 4


def test_requests_that_waited_for_too_long_expire(scene: Scene) -> None:
    request_id = scene.ask()
    scene.clock.advance(LIFETIME)

    assert scene.sweep() == Swept(leases=0, requests=1, failed=0, woke=False)
    assert scene.request(request_id).state is RequestState.EXPIRED


def test_a_round_is_bounded_and_the_next_one_goes_on(scene: Scene) -> None:
    for _ in range(5):
        scene.ask()
    scene.clock.advance(LIFETIME)

    assert [scene.sweep(limit=2).requests for _ in range(4)] == [2, 2, 1, 0]


def test_two_sweeps_at_once_end_a_lease_only_once(scene: Scene) -> None:
    request_id = scene.ask()
    scene.pop()
    scene.clock.advance(LEASE)
    due = scene.hoard.inline.queue.due_leases(scene.clock.now(), 10)

    scene.sweep()
    before = scene.hoard.storage.log.last_position()
    for job_id in due:
        scene.hoard.ledger.jobs.expire_lease(job_id)

    assert scene.hoard.storage.log.last_position() == before
    assert scene.request(request_id).lost == 4


@dataclass
class Stubborn:
    """A ledger that cannot end one of the jobs."""

    hoard: Hoard
    job_id: UUID

    @property
    def requests(self) -> Requests:
        return self.hoard.ledger.requests

    @property
    def jobs(self) -> Stubborn:
        return self

    def expire_lease(self, job_id: UUID) -> None:
        if job_id == self.job_id:
            raise RuntimeError("this stream cannot be read")
        self.hoard.ledger.jobs.expire_lease(job_id)


def test_one_that_fails_does_not_keep_the_others(scene: Scene) -> None:
    for _ in range(3):
        scene.ask()
    jobs = [scene.pop() for _ in range(3)]
    scene.clock.advance(LEASE)
    stubborn = Stubborn(scene.hoard, jobs[0].job_id)

    swept = sweep(scene.hoard.inline.queue, stubborn, scene.ring, scene.clock.now())

    assert (swept.leases, swept.failed, swept.woke) == (2, 1, True)
