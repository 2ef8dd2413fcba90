"""Whole histories: whatever happens in whatever order, the promises of the ledger hold.

A plain model of dictionaries says what each command must answer and what each request must show;
the real ledger, on a real store, must agree after every step. In the end every view is recomputed
from event one and compared with what is served.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.account import ANONYMOUS_ID, Roles
from domain.batching import images_for
from domain.commands import NoJob, PopJob, SubmitRequest
from domain.image_ids import image_ids_of
from domain.image_settings import ImageSettings
from domain.job import ImageState
from domain.lifetimes import LOSSES_PER_IMAGE
from domain.matching import Capabilities, Requirements
from domain.request import Request, RequestState
from domain.return_codes import Refused
from infrastructure.bootstrap import Hoard, assemble
from infrastructure.settings import load_settings
from projections.rebuild import verify
from tests.world import HandClock, SeededChance

MODELS = ("A", "B")
SIDES = (512, 1024, 2048)
WORKERS = (
    Capabilities(("A",), 20, 2048 * 2048, True, 1, False, "test:1:big"),
    Capabilities(("A", "B"), 4, 1024 * 1024, True, 1, False, "test:1:middle"),
    Capabilities(("B",), 1, 512 * 512, False, 1, False, "test:1:small"),
)


@dataclass
class ModelJob:
    request_id: UUID
    owner: int
    images: int
    ends_at: datetime
    delivered: set[int] = field(default_factory=set)
    faulted: set[int] = field(default_factory=set)
    leased: bool = True


@dataclass
class ModelRequest:
    images: int
    side: int
    models: tuple[str, ...]
    waiting: int
    lost: int = 0
    state: RequestState = RequestState.OPEN
    idle_since: datetime | None = None


class Histories(RuleBasedStateMachine):
    """Front-ends, workers and time, all doing what they like."""

    database = "sqlite://"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HandClock()
        self.requests: dict[UUID, ModelRequest] = {}
        self.jobs: dict[UUID, ModelJob] = {}

    @initialize()
    def assemble(self) -> None:
        data = Path(self.folder.name)
        urls = {"ledger_url": self.database} if self.database else {}
        self.hoard: Hoard = assemble(
            load_settings(data=data, **urls), clock=self.clock, chance=SeededChance()
        )
        self.owners = [
            self.hoard.ledger.open_account(f"owner {owner}", f"{owner:064x}", Roles())
            for owner in range(len(WORKERS))
        ]

    @rule(
        images=st.integers(1, 20),
        side=st.sampled_from(SIDES),
        models=st.sampled_from([(), ("A",), ("B",), ("A", "B")]),
        nsfw=st.booleans(),
        priority=st.sampled_from([0.0, 5.0]),
    )
    def submit(
        self, images: int, side: int, models: tuple[str, ...], nsfw: bool, priority: float
    ) -> None:
        command = SubmitRequest(
            account_id=ANONYMOUS_ID,
            prompt="a cat",
            negative_prompt="",
            settings=ImageSettings(side, side, 30, "k_euler_a", 5.0, True, 1),
            requirements=Requirements(models, side * side, nsfw, False, True, False),
            images=images,
            priority=priority,
        )
        request_id, _ = self.hoard.ledger.submit_request(command)
        self.requests[request_id] = ModelRequest(
            images, side, models, waiting=images, idle_since=self.clock.now()
        )

    @rule(who=st.integers(0, len(WORKERS) - 1))
    def pop(self, who: int) -> None:
        capabilities = WORKERS[who]
        popped = self.hoard.ledger.pop_job(
            PopJob(self.owners[who], False, f"worker {who}", capabilities)
        )
        if isinstance(popped, NoJob):
            return
        request = self.requests[popped.request_id]
        images = len(popped.image_ids)
        assert request.state is RequestState.OPEN
        assert images == images_for(
            amount=capabilities.amount,
            max_pixels=capabilities.max_pixels,
            width=request.side,
            height=request.side,
            remaining=request.waiting,
        )
        assert popped.model in capabilities.models
        assert popped.model in (request.models or MODELS)
        request.waiting -= images
        self.jobs[popped.job_id] = ModelJob(
            popped.request_id, who, images, ends_at=popped.lease_ends_at
        )

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), state=st.sampled_from([*ImageState, "faulted"]))
    def report(self, data: st.DataObject, state: ImageState | str) -> None:
        """Submit any image of any job, due or not: new, twice, late or never asked for."""
        job_id, job = self._some_job(data)
        place = data.draw(st.integers(0, 19), "place")
        image_id = image_ids_of(job_id, 20)[place]
        expected = None
        if place >= job.images:
            expected = "InvalidJobID"
        elif place in job.delivered | job.faulted:
            expected = "DuplicateGen"
        elif not job.leased:
            expected = "AbortedGen"
        owner_id = self.owners[job.owner]
        if isinstance(state, ImageState):
            refusal = self._refusal(
                self.hoard.ledger.submit_image,
                image_id,
                owner_id=owner_id,
                digest="0" * 64,
                seed=1,
                state=state,
            )
            target = job.delivered
        else:
            refusal = self._refusal(self.hoard.ledger.fault_image, image_id, owner_id=owner_id)
            target = job.faulted
        assert refusal == expected
        if expected is None:
            target.add(place)
            if len(job.delivered) + len(job.faulted) == job.images:
                self._end(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Submit all that is left of a job, so that requests get completed now and then."""
        job_id, job = self._some_job(data)
        if not job.leased:
            return
        for place, image_id in enumerate(image_ids_of(job_id, job.images)):
            if place not in job.delivered | job.faulted:
                self.hoard.ledger.submit_image(
                    image_id,
                    owner_id=self.owners[job.owner],
                    digest="1" * 64,
                    seed=2,
                    state=ImageState.OK,
                )
                job.delivered.add(place)
        self._end(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def submit_for_someone_else(self, data: st.DataObject) -> None:
        job_id, job = self._some_job(data)
        stranger = self.owners[(job.owner + 1) % len(self.owners)]
        refusal = self._refusal(
            self.hoard.ledger.submit_image,
            image_ids_of(job_id, 1)[0],
            owner_id=stranger,
            digest="2" * 64,
            seed=3,
            state=ImageState.OK,
        )
        assert refusal == "WrongCredentials"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        job_id, job = self._some_job(data)
        self.hoard.ledger.fail_job(job_id, owner_id=self.owners[job.owner], reason="out of memory")
        if job.leased:
            self._end(job)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(list(self.requests)), "request")
        self.hoard.ledger.cancel_request(request_id)
        if self.requests[request_id].state is RequestState.OPEN:
            self._close(request_id, RequestState.CANCELLED)

    @rule(minutes=st.sampled_from([1, 3, 11, 21]))
    def sweep(self, minutes: int) -> None:
        """Let time pass, and end what it ends."""
        self.clock.advance(timedelta(minutes=minutes))
        now = self.clock.now()
        due = set(self.hoard.queue.due_leases(now, 1000))
        assert due == {
            job_id for job_id, job in self.jobs.items() if job.leased and job.ends_at <= now
        }
        for job_id in due:
            self.hoard.ledger.expire_lease(job_id)
            if self.jobs[job_id].leased:
                self._end(self.jobs[job_id])
        for request_id in self.hoard.queue.due_requests(now, 1000):
            self.hoard.ledger.expire_request(request_id)
            self._close(request_id, RequestState.EXPIRED)

    @rule(portion=st.integers(1, 50))
    def follow(self, portion: int) -> None:
        """Let the follower views get somewhat further; what is served must not depend on it."""
        for follower in self.hoard.followers:
            follower.catch_up(portion)

    @invariant()
    def every_image_is_in_exactly_one_place(self) -> None:
        for request_id, request in self.requests.items():
            status = self.hoard.status.status(request_id)
            assert status is not None
            jobs = {k: job for k, job in self.jobs.items() if job.request_id == request_id}
            delivered = {
                image_ids_of(job_id, job.images)[place]
                for job_id, job in jobs.items()
                for place in job.delivered
            }
            processing = sum(job.images - len(job.delivered) for job in jobs.values() if job.leased)
            assert status.state is request.state
            assert status.waiting == request.waiting
            assert status.processing == processing
            assert status.finished == len(delivered)
            assert status.restarted == request.lost
            assert {g.image_id for g in status.generations} == delivered
            assert len(status.generations) == len(delivered)
            if request.state is RequestState.OPEN:
                assert status.waiting + processing + status.finished == request.images
            if request.state is RequestState.COMPLETED:
                assert status.finished == request.images
            check = self.hoard.status.check(request_id)
            assert check is not None
            assert (check.waiting, check.processing, check.finished, check.state) == (
                status.waiting,
                status.processing,
                status.finished,
                status.state,
            )

    def slices_never_sum_above_what_waits(self) -> None:
        """Count each request's images along its own events."""
        waiting: dict[UUID, int] = {}
        for recorded in self.hoard.log.after(0, 100_000):
            event = recorded.event
            match event:
                case Request.Submitted():
                    waiting[event.originator_id] = event.images
                case Request.Sliced():
                    waiting[event.originator_id] -= event.images
                    assert waiting[event.originator_id] == event.remaining >= 0
                case Request.JobReturned():
                    waiting[event.originator_id] += event.lost

    def teardown(self) -> None:
        if hasattr(self, "hoard"):
            self.slices_never_sum_above_what_waits()
            for follower in self.hoard.followers:
                while follower.catch_up():
                    pass
            self.every_image_is_in_exactly_one_place()
            for view in self.hoard.inline_views:
                assert not verify(view, self.hoard.log, self.hoard.ledger_database).differences
            for follower in self.hoard.followers:
                view = follower.view
                assert not verify(view, self.hoard.log, self.hoard.view_database).differences
            self.hoard.close()
        self.folder.cleanup()

    def _some_job(self, data: st.DataObject) -> tuple[UUID, ModelJob]:
        job_id = data.draw(st.sampled_from(list(self.jobs)), "job")
        return job_id, self.jobs[job_id]

    def _refusal(self, command: object, *args: object, **kwargs: object) -> str | None:
        assert callable(command)
        try:
            command(*args, **kwargs)
        except Refused as refused:
            return refused.code.name
        return None

    def _end(self, job: ModelJob) -> None:
        """End a job: what it lost waits again, unless that was one loss too many."""
        job.leased = False
        request = self.requests[job.request_id]
        lost = job.images - len(job.delivered)
        request.waiting += lost
        request.lost += lost
        jobs = [j for j in self.jobs.values() if j.request_id == job.request_id]
        if sum(len(j.delivered) for j in jobs) == request.images:
            request.state = RequestState.COMPLETED
        elif request.lost > LOSSES_PER_IMAGE * request.images:
            self._close(job.request_id, RequestState.FAULTED)

    def _close(self, request_id: UUID, state: RequestState) -> None:
        request = self.requests[request_id]
        request.state = state
        request.waiting = 0
        for job in self.jobs.values():
            if job.request_id == request_id:
                job.leased = False


class HistoriesInFile(Histories):
    """The same on a SQLite file, with the views in a file of their own."""

    database = ""


_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TestHistoriesInMemory = Histories.TestCase
TestHistoriesInMemory.settings = _SETTINGS
TestHistoriesInFile = HistoriesInFile.TestCase
TestHistoriesInFile.settings = settings(_SETTINGS, max_examples=15)
