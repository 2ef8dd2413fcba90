"""Whole histories: whatever happens in whatever order, the promises of the ledger hold.

A plain model of dictionaries says what each command must answer and what each request must show;
the real ledger, on a real store, must agree after every step. So must every balance of kudos, and
what is burnt, minted and held must add up. In the end every view is recomputed from event one and
compared with what is served.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.accounts.account import ANONYMOUS_ID, Account
from domain.accounts.kudos import hundredths, kudos_from
from domain.accounts.roles import Roles
from domain.accounts.shared_key import KeyLimits
from domain.images.settings import ImageSettings
from domain.jobs.commands import NoJob, PopJob
from domain.jobs.image_ids import image_ids_of
from domain.jobs.job import ImageState, Job
from domain.jobs.leases import LEASES_IN_A_ROW, LOSSES_PER_IMAGE
from domain.requests.batching import images_for
from domain.requests.pricing import image_kudos, quote
from domain.requests.request import Request, RequestState
from domain.requests.specification import (
    ReplicateImage,
    Requester,
    RequestSpecification,
    SubmitRequest,
)
from domain.return_codes import Refused
from domain.workers.matching import Capabilities, Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import load_settings
from projections.following.rebuild import verify
from tests.kudos_world import issue_key
from tests.prepared import assembled
from tests.property.kudos_model import KudosModel, ModelPayer
from tests.property.work_model import ModelJob, ModelRequest
from tests.world import ManualClock, SeededRandomSource

MODELS = ("A", "B")
SIDES = (512, 1024, 2048)
KEY_LIMIT = 400
WORKERS = (
    Capabilities(("A",), 20, 2048 * 2048, True, 1, False, "test:1:big", features=("replication",)),
    Capabilities(
        ("A", "B"), 4, 1024 * 1024, True, 1, False, "test:1:middle", features=("replication",)
    ),
    Capabilities(("B",), 1, 512 * 512, False, 1, False, "test:1:small"),
)


class Histories(RuleBasedStateMachine):
    """Front-ends, workers and time, all doing what they like."""

    database = "sqlite://"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.requests: dict[UUID, ModelRequest] = {}
        self.jobs: dict[UUID, ModelJob] = {}
        self.kudos = KudosModel()

    @initialize()
    def assemble(self) -> None:
        data = Path(self.folder.name)
        urls = {"ledger_url": self.database} if self.database else {}
        self.hoard: Hoard = assembled(
            load_settings(data=data, **urls), clock=self.clock, random_source=SeededRandomSource()
        )
        self.owners = [
            self.hoard.ledger.accounts.open(f"owner {owner}", f"{owner:064x}", Roles())
            for owner in range(len(WORKERS))
        ]
        rich, poor = (
            self.hoard.ledger.accounts.open(name, f"{name:f>64}", Roles()) for name in ("aa", "bb")
        )
        key_id = issue_key(self.hoard, rich, KeyLimits(kudos=KEY_LIMIT))
        for account_id in (*self.owners, rich, poor):
            self.kudos.open(account_id)
        self.kudos.open(key_id, is_account=False)
        for account_id, start in ((rich, 1000.0), (poor, 20.0)):
            self.hoard.ledger.kudos.award(account_id, start, by=None, reason="a start")
            self.kudos.award(account_id, hundredths(start))
        self.payers = (
            ModelPayer(),
            ModelPayer(rich),
            ModelPayer(rich, key_id, key_limit=hundredths(KEY_LIMIT)),
            ModelPayer(poor),
            ModelPayer(self.owners[0]),
        )

    @rule(
        images=st.integers(1, 20),
        side=st.sampled_from(SIDES),
        models=st.sampled_from([(), ("A",), ("B",), ("A", "B")]),
        nsfw=st.booleans(),
        priority=st.sampled_from([0.0, 5.0]),
        who=st.sampled_from([0, 0, 1, 2, 3, 4]),
        upfront=st.sampled_from([False, False, True]),
    )
    def submit(
        self,
        images: int,
        side: int,
        models: tuple[str, ...],
        nsfw: bool,
        priority: float,
        who: int,
        upfront: bool,
    ) -> None:
        payer = self.payers[who]
        command = SubmitRequest(
            Requester(payer.account_id or ANONYMOUS_ID, shared_key_id=payer.shared_key_id),
            RequestSpecification(
                prompt="a cat",
                negative_prompt="",
                settings=ImageSettings(side, side, 30, "k_euler_a", 5.0, True, 1),
                requirements=Requirements(models, side * side, nsfw, False, True, False),
                images=images,
            ),
            upfront=upfront,
            priority=priority,
        )
        self._submit(command, payer)

    def _submit(self, command: SubmitRequest, payer: ModelPayer) -> None:
        """Submit a request and see that it is taken or refused as it must be."""
        images, upfront = command.specification.images, command.upfront
        price = quote(command.specification.settings, images)
        expected = self.kudos.refusal(payer, hundredths(price.total), upfront=upfront)
        if payer.account_id is not None and self._waiting_of(payer.account_id) + images > 30:
            expected = "TooManyPrompts"
        taken: list[UUID] = []
        refusal = self._refusal(lambda: taken.append(self.hoard.ledger.requests.submit(command)[0]))
        assert refusal == expected
        if refusal is not None:
            return
        (request_id,) = taken
        specification = command.specification
        hold = self.kudos.hold(payer, hundredths(price.total), price.per_image)
        self.requests[request_id] = ModelRequest(
            payer,
            hold,
            images,
            side=specification.settings.width,
            models=specification.requirements.models,
            waiting=images,
            idle_since=self.clock.now(),
            seed=specification.seed,
        )

    @rule(
        sender=st.integers(0, 4),
        receiver=st.integers(0, 4),
        amount=st.sampled_from([1, 750, 10_000, None]),
    )
    def transfer(self, sender: int, receiver: int, amount: int | None) -> None:
        """Send some of one's kudos, or all that there are."""
        source, target = self.kudos.accounts[sender], self.kudos.accounts[receiver]
        amount = max(1, self.kudos.available(source)) if amount is None else amount
        expected = self.kudos.transfer(source, target, amount, self.clock.now())
        transfer = self.hoard.ledger.kudos.transfer
        assert self._refusal(transfer, source, target, kudos_from(amount)) == expected

    @rule(to=st.integers(0, 4), amount=st.sampled_from([1337, -5000]), folded=st.integers(0, 3))
    def award(self, to: int, amount: int, folded: int) -> None:
        """Give kudos from nowhere, or take some; fold some balances, none of which may change."""
        self.hoard.inline.kudos.fold(folded)
        account_id = self.kudos.accounts[to]
        given = self.hoard.ledger.kudos.award(
            account_id, kudos_from(amount), by=None, reason="why not"
        )
        assert hundredths(given) == self.kudos.award(account_id, amount)

    @rule(
        images=st.integers(2, 20),
        payer=st.integers(1, 4),
        who=st.integers(0, len(WORKERS) - 1),
    )
    def submit_and_pop(self, images: int, payer: int, who: int) -> None:
        """Ask on somebody's kudos for what all workers can make, and let one have a slice."""
        self.submit(images, 512, (), False, 0.0, payer, False)
        self.pop(who)

    @rule(who=st.integers(0, len(WORKERS) - 1))
    def pop(self, who: int) -> None:
        capabilities = WORKERS[who]
        popped = self.hoard.ledger.jobs.pop(
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
        assert request.seed in (None, popped.seed)
        assert (popped.replication is None) is (request.seed is None)
        request.waiting -= images
        self.jobs[popped.job_id] = ModelJob(
            popped.request_id,
            who,
            images,
            ends_at=popped.lease_ends_at,
            lease=timedelta(seconds=popped.lease_seconds),
            reward=hundredths(image_kudos(popped.settings)),
            seed=popped.seed,
            batched_at=self.clock.now(),
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
                self.hoard.ledger.jobs.submit_image,
                image_id,
                owner_id=owner_id,
                digest="0" * 64,
                seed=1,
                state=state,
            )
            target = job.delivered
        else:
            refusal = self._refusal(self.hoard.ledger.jobs.fault_image, image_id, owner_id=owner_id)
            target = job.faulted
        assert refusal == expected
        if expected is None:
            target.add(place)
            if isinstance(state, ImageState):
                # Whatever was found in the image: the work was done.
                self.kudos.reward(owner_id, job.reward)
            if state is ImageState.OK:
                job.drawn.add(place)
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
                self.hoard.ledger.jobs.submit_image(
                    image_id,
                    owner_id=self.owners[job.owner],
                    digest="1" * 64,
                    seed=2,
                    state=ImageState.OK,
                )
                job.delivered.add(place)
                job.drawn.add(place)
                self.kudos.reward(self.owners[job.owner], job.reward)
        self._end(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def submit_for_someone_else(self, data: st.DataObject) -> None:
        job_id, job = self._some_job(data)
        stranger = self.owners[(job.owner + 1) % len(self.owners)]
        refusal = self._refusal(
            self.hoard.ledger.jobs.submit_image,
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
        self.hoard.ledger.jobs.fail(job_id, owner_id=self.owners[job.owner], reason="out of memory")
        if job.leased:
            self._end(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), seconds=st.sampled_from([0, 140, 149]), times=st.sampled_from([1, 12]))
    def renew(self, data: st.DataObject, seconds: int, times: int) -> None:
        """Show progress a few times, at work or not, until no more time is given."""
        job_id, job = self._some_job(data)
        for _ in range(times):
            self.clock.advance(timedelta(seconds=seconds))
            now = self.clock.now()
            is_held = job.leased and now < job.ends_at
            renew = partial(
                self.hoard.ledger.jobs.renew_lease, job_id, owner_id=self.owners[job.owner]
            )
            if not is_held:
                assert self._refusal(renew) == "AbortedGen"
                continue
            latest = job.batched_at + LEASES_IN_A_ROW * job.lease
            job.ends_at = max(job.ends_at, min(now + job.lease, latest))
            assert renew() == job.ends_at

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), place=st.integers(0, 4), own=st.booleans(), who=st.integers(0, 4))
    def replicate(self, data: st.DataObject, place: int, own: bool, who: int) -> None:
        """Ask for any image again, be it one's own or not, made or not."""
        job_id, job = self._some_job(data)
        asked_by = self.requests[job.request_id].payer
        payer = asked_by if own else self.payers[who]
        is_own = payer.account_id == asked_by.account_id and (
            payer.shared_key_id in (None, asked_by.shared_key_id)
        )
        again = ReplicateImage(
            Requester(payer.account_id or ANONYMOUS_ID, shared_key_id=payer.shared_key_id),
            image_id=image_ids_of(job_id, 20)[place],
        )
        found: list[SubmitRequest] = []
        refusal = self._refusal(lambda: found.append(self.hoard.ledger.requests.replicate(again)))
        if not is_own or place >= job.images:
            assert refusal == "ImageNotFound"
        elif place not in job.drawn:
            assert refusal == "ImageNotGenerated"
        else:
            assert found[0].specification.images == 1
            assert found[0].specification.seed == job.seed
            self._submit(found[0], payer)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(list(self.requests)), "request")
        self.hoard.ledger.requests.cancel(request_id)
        if self.requests[request_id].state is RequestState.OPEN:
            self._close(request_id, RequestState.CANCELLED)

    @precondition(lambda self: self._half_done())
    @rule(data=st.data())
    def cancel_what_is_half_done(self, data: st.DataObject) -> None:
        """End a request while an image that it must pay for lies with a job at work."""
        job_id = data.draw(st.sampled_from(self._half_done()), "job")
        job = self.jobs[job_id]
        place = min(set(range(job.images)) - job.delivered - job.faulted)
        self.hoard.ledger.jobs.submit_image(
            image_ids_of(job_id, job.images)[place],
            owner_id=self.owners[job.owner],
            digest="3" * 64,
            seed=4,
            state=ImageState.OK,
        )
        job.delivered.add(place)
        job.drawn.add(place)
        self.kudos.reward(self.owners[job.owner], job.reward)
        self.hoard.ledger.requests.cancel(job.request_id)
        self._close(job.request_id, RequestState.CANCELLED)

    @rule(minutes=st.sampled_from([1, 3, 11, 21]))
    def sweep(self, minutes: int) -> None:
        """Let time pass, and end what it ends."""
        self.clock.advance(timedelta(minutes=minutes))
        now = self.clock.now()
        due = set(self.hoard.inline.queue.due_leases(now, 1000))
        assert due == {
            job_id for job_id, job in self.jobs.items() if job.leased and job.ends_at <= now
        }
        for job_id in due:
            self.hoard.ledger.jobs.expire_lease(job_id)
            if self.jobs[job_id].leased:
                self._end(self.jobs[job_id])
        for request_id in self.hoard.inline.queue.due_requests(now, 1000):
            self.hoard.ledger.requests.expire(request_id)
            self._close(request_id, RequestState.EXPIRED)

    @rule(portion=st.integers(1, 50))
    def follow(self, portion: int) -> None:
        """Let the follower views get somewhat further; what is served must not depend on it."""
        for follower in self.hoard.views.followers:
            follower.catch_up(portion)

    @invariant()
    def every_image_is_in_exactly_one_place(self) -> None:
        for request_id, request in self.requests.items():
            status = self.hoard.views.status.status(request_id)
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
            check = self.hoard.views.status.check(request_id)
            assert check is not None
            assert (check.waiting, check.processing, check.finished, check.state) == (
                status.waiting,
                status.processing,
                status.finished,
                status.state,
            )

    @invariant()
    def kudos_add_up(self) -> None:
        if not self.kudos.accounts:
            return
        balances = {
            holder: self.hoard.inline.kudos.balance(holder) for holder in self.kudos.balances
        }
        for holder, balance in balances.items():
            assert self.kudos.agrees_with(holder, balance), (holder, balance)
        self.kudos.adds_up(balances)

    def what_was_held_is_burnt_or_given_back(self) -> None:
        """Follow each hold, and every kudos that came from nowhere, along the events alone."""
        held: dict[UUID, int] = {}
        minted = burnt = 0
        for recorded in self.hoard.storage.log.after(0, 100_000):
            event = recorded.event
            match event:
                case Request.Submitted():
                    held[event.originator_id] = hundredths(event.held)
                case Request.JobReturned():
                    held[event.originator_id] -= hundredths(event.burnt)
                    burnt += hundredths(event.burnt)
                case Request.Ended():
                    left = hundredths(event.burnt) + hundredths(event.refunded)
                    assert held.pop(event.originator_id) == left
                    burnt += hundredths(event.burnt)
                case Job.ImageGenerated():
                    minted += hundredths(event.kudos)
                case Account.KudosAwarded():
                    minted += hundredths(event.kudos)
        balances = [
            self.hoard.inline.kudos.balance(account_id) for account_id in self.kudos.accounts
        ]
        assert sum(balance.held for balance in balances) == sum(held.values())
        assert sum(balance.amount for balance in balances) == minted - burnt

    def slices_never_sum_above_what_waits(self) -> None:
        """Count each request's images along its own events."""
        waiting: dict[UUID, int] = {}
        for recorded in self.hoard.storage.log.after(0, 100_000):
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
            self.what_was_held_is_burnt_or_given_back()
            for follower in self.hoard.views.followers:
                while follower.catch_up():
                    pass
            self.every_image_is_in_exactly_one_place()
            for view in self.hoard.inline.all:
                assert not verify(
                    view, self.hoard.storage.log, self.hoard.storage.ledger_database
                ).differences
            for follower in self.hoard.views.followers:
                view = follower.view
                assert not verify(
                    view, self.hoard.storage.log, self.hoard.storage.view_database
                ).differences
            self.hoard.close()
        self.folder.cleanup()

    def _some_job(self, data: st.DataObject) -> tuple[UUID, ModelJob]:
        job_id = data.draw(st.sampled_from(list(self.jobs)), "job")
        return job_id, self.jobs[job_id]

    def _half_done(self) -> list[UUID]:
        """Jobs at work that can deliver an image and not be done."""
        return [
            job_id
            for job_id, job in self.jobs.items()
            if job.leased and job.images - len(job.delivered) - len(job.faulted) > 1
        ]

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
        self.kudos.burn(request.hold, sum(len(j.delivered) for j in jobs if not j.leased))
        if sum(len(j.delivered) for j in jobs) == request.images:
            self._close(job.request_id, RequestState.COMPLETED)
        elif request.lost > LOSSES_PER_IMAGE * request.images:
            self._close(job.request_id, RequestState.FAULTED)

    def _close(self, request_id: UUID, state: RequestState) -> None:
        request = self.requests[request_id]
        request.state = state
        request.waiting = 0
        delivered = 0
        for job in self.jobs.values():
            if job.request_id == request_id:
                job.leased = False
                delivered += len(job.delivered)
        self.kudos.end(request.hold, delivered)

    def _waiting_of(self, account_id: UUID) -> int:
        return sum(
            request.waiting
            for request in self.requests.values()
            if request.payer.account_id == account_id
        )


class HistoriesInFile(Histories):
    """The same on a SQLite file, with the views in a file of their own."""

    database = ""


_SETTINGS = settings(
    max_examples=25,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TestHistoriesInMemory = Histories.TestCase
TestHistoriesInMemory.settings = _SETTINGS
TestHistoriesInFile = HistoriesInFile.TestCase
TestHistoriesInFile.settings = settings(_SETTINGS, max_examples=8)
