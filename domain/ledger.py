"""The ledger: one method per command, each deciding on no more streams than it changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, Mapper

from domain.account import ANONYMOUS_ID, Account, Roles
from domain.commands import NoJob, PopJob, PoppedJob, SubmitRequest
from domain.image_ids import job_id_from, job_of
from domain.job import ImageState, Job
from domain.lifetimes import Lifetimes
from domain.matching import Candidate, model_for
from domain.personal import Forgotten, Sealer
from domain.ports import Chance, Clock, Directory, Transactions, WaitingQueue, WorkerEntry
from domain.pricing import image_kudos, request_kudos
from domain.request import Request
from domain.return_codes import Refused
from domain.worker import Worker

_ATTEMPTS = 25
"""How often a command that lost a race is tried again before its caller is told to."""

_WORKERS_OF_UNTRUSTED = 3
_WORKERS_OF_TRUSTED = 20

Result = TypeVar("Result")
Stream = TypeVar("Stream", Request, Job)


class EndRequest(Protocol):
    """A way in which a request ends early."""

    def __call__(self, *, delivered_by_open_jobs: int, timestamp: datetime) -> None:
        """End it, counting what its open jobs delivered already."""


class Ledger(Application[UUID]):
    """All that can happen to requests, jobs, workers and accounts.

    Streams that change together are saved in one transaction. Optimistic concurrency on the stream
    version decides every race: the loser's transaction leaves nothing behind, and it tries again.
    """

    name = "ledger"

    def __init__(
        self,
        *,
        recorder: ApplicationRecorder,
        mapper: Mapper[UUID],
        transactions: Transactions,
        queue: WaitingQueue,
        directory: Directory,
        sealer: Sealer,
        clock: Clock,
        chance: Chance,
        lifetimes: Lifetimes,
    ) -> None:
        """Build the ledger on its ports."""
        self._given_recorder = recorder
        self._given_mapper = mapper
        self._transactions = transactions
        self._queue = queue
        self._directory = directory
        self._sealer = sealer
        self._clock = clock
        self._chance = chance
        self._lifetimes = lifetimes
        super().__init__(env={})

    def construct_recorder(self) -> ApplicationRecorder:
        """Use the recorder that the ledger was given."""
        return self._given_recorder

    def construct_mapper(self) -> Mapper[UUID]:
        """Use the mapper that the ledger was given."""
        return self._given_mapper

    def open_account(self, name: str, key_digest: str, roles: Roles) -> UUID:
        """Open an account under the SHA-256 of its API key and return its id."""
        account = Account.open(
            self._chance.new_id(),
            name=name,
            key_digest=key_digest,
            roles=roles,
            timestamp=self._clock.now(),
        )
        self.save(account)
        return account.id

    def submit_request(self, command: SubmitRequest) -> tuple[UUID, float]:
        """Put a request in the queue; return its id and the kudos that it burns.

        :raises Refused: ``RequiresTrust``.
        """
        if command.disable_batching and command.images > 1:
            self._require_batching_rights(command.account_id)
        now = self._clock.now()
        request_id = self._chance.new_id()
        anonymous = command.account_id == ANONYMOUS_ID
        subject = request_id if anonymous else command.account_id
        kudos = self.price(command)
        with self._transactions.transaction():
            seal = self._sealer.seal
            request = Request.submit(
                request_id,
                account_id=command.account_id,
                images=command.images,
                settings=command.settings,
                requirements=command.requirements,
                prompt=seal(subject, command.prompt),
                negative_prompt=(
                    seal(subject, command.negative_prompt) if command.negative_prompt else None
                ),
                client_address=(
                    seal(subject, command.client_address) if command.client_address else None
                ),
                client_agent=command.client_agent,
                seed=command.seed,
                seed_variation=command.seed_variation,
                disable_batching=command.disable_batching,
                shared=command.shared,
                r2=command.r2,
                priority=command.priority,
                kudos=kudos,
                expires_at=now
                + self._lifetimes.waiting(
                    extra_slow_workers=command.requirements.extra_slow_workers
                ),
                timestamp=now,
            )
            self.save(request)
        return request_id, kudos

    def price(self, command: SubmitRequest) -> float:
        """Return the kudos that a request would burn."""
        return request_kudos(
            command.settings,
            command.images,
            slow_workers=command.requirements.slow_workers,
            worker_blacklist=command.requirements.worker_blacklist,
        )

    def pop_job(self, command: PopJob) -> PoppedJob | NoJob:
        """Slice the best waiting request for this worker and lease it the slice as one job.

        :raises Refused: ``AnonForbiddenWorker``, ``WorkerNameAlreadyExists``, ``NotTrusted`` (too
            many workers), ``WorkerMaintenance`` or ``Locked``.
        """
        if command.owner_id == ANONYMOUS_ID:
            raise Refused("AnonForbiddenWorker")
        entry = self._retried(lambda: self._sign_in(command))
        if entry.maintenance or entry.paused:
            raise Refused("WorkerMaintenance")
        candidate = Candidate(
            worker_id=entry.worker_id,
            capabilities=command.capabilities,
            trusted=command.owner_trusted,
            slow=command.slow,
        )
        return self._retried(lambda: self._lease_best(entry, candidate))

    def submit_image(
        self, image_id: UUID, *, owner_id: UUID, digest: str, seed: int, state: ImageState
    ) -> float:
        """Take one finished image from the account that runs its worker; return the reward.

        :param digest: SHA-256 of the image, which already lies in the blob store.
        :raises Refused: ``InvalidJobID``, ``WrongCredentials``, ``DuplicateGen``, ``AbortedGen``
            or ``Locked``.
        """

        def submit() -> float:
            job = self._job_of_owner(job_of(image_id), owner_id)
            now = self._clock.now()
            reward = job.deliver(image_id, digest=digest, seed=seed, state=state, timestamp=now)
            self._save_with_request(job)
            return reward

        return self._retried(submit)

    def fault_image(self, image_id: UUID, *, owner_id: UUID) -> None:
        """Note that a worker could not make one image of its batch.

        :raises Refused: as :meth:`submit_image` does.
        """

        def fault() -> None:
            job = self._job_of_owner(job_of(image_id), owner_id)
            job.fault(image_id, timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(fault)

    def fail_job(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Give a whole batch up; what it did not deliver waits again.

        :raises Refused: ``InvalidJobID``, ``WrongCredentials`` or ``Locked``.
        """

        def fail() -> None:
            job = self._job_of_owner(job_id, owner_id)
            job.fail(reason, timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(fail)

    def expire_lease(self, job_id: UUID) -> None:
        """End a job's lease if its time is up; what it did not deliver waits again.

        :raises Refused: ``InvalidJobID`` or ``Locked``.
        """

        def expire() -> None:
            job = self._job(job_id)
            job.expire_lease(timestamp=self._clock.now())
            self._save_with_request(job)

        self._retried(expire)

    def cancel_request(self, request_id: UUID) -> None:
        """End a request because its client wants no more; over already is no error.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def cancel() -> None:
            request = self._request(request_id)
            self._end_request(request, request.cancel)

        self._retried(cancel)

    def expire_request(self, request_id: UUID) -> None:
        """End a request to which nothing happened for too long, unless a job still holds it.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def expire() -> None:
            request = self._request(request_id)
            request.expire(timestamp=self._clock.now())
            self.save(request)

        self._retried(expire)

    def _require_batching_rights(self, account_id: UUID) -> None:
        entry = self._directory.account(account_id)
        if entry is None or not entry.roles.may_disable_batching:
            raise Refused("RequiresTrust")

    def _sign_in(self, command: PopJob) -> WorkerEntry:
        """Find the worker by its name, registering it or noting a new declaration."""
        entry = self._directory.worker_by_name(command.worker_name)
        if entry is None:
            return self._register(command)
        if entry.owner_id != command.owner_id:
            raise Refused("WorkerNameAlreadyExists")
        if entry.capabilities != command.capabilities:
            worker: Worker = self.repository.get(entry.worker_id)
            worker.declare(command.capabilities, timestamp=self._clock.now())
            self.save(worker)
        return entry

    def _register(self, command: PopJob) -> WorkerEntry:
        most = _WORKERS_OF_TRUSTED if command.owner_trusted else _WORKERS_OF_UNTRUSTED
        if self._directory.workers_of(command.owner_id) >= most:
            raise Refused("NotTrusted")
        worker = Worker.register(
            self._chance.new_id(),
            name=command.worker_name,
            owner_id=command.owner_id,
            capabilities=command.capabilities,
            timestamp=self._clock.now(),
        )
        self.save(worker)
        return WorkerEntry(
            worker_id=worker.id,
            name=worker.name,
            owner_id=worker.owner_id,
            capabilities=worker.capabilities,
            maintenance=False,
            paused=False,
        )

    def _lease_best(self, entry: WorkerEntry, worker: Candidate) -> PoppedJob | NoJob:
        for _ in range(_ATTEMPTS):
            lanes = self._queue.lanes_for(worker)
            if not lanes:
                return NoJob(entry.worker_id)
            for lane in lanes:
                if (popped := self._lease_from(lane, entry, worker)) is not None:
                    return popped
            # All that wait are in other workers' hands just now, and may have images left.
            popped = self._lease_from(lanes[0], entry, worker, patiently=True)
            if popped is not None:
                return popped
        raise Refused("Locked")

    def _lease_from(
        self, lane: int, entry: WorkerEntry, worker: Candidate, *, patiently: bool = False
    ) -> PoppedJob | None:
        with self._transactions.transaction():
            request_id = self._queue.claim(lane, patiently=patiently)
            return self._lease(request_id, entry, worker) if request_id else None

    def _lease(self, request_id: UUID, entry: WorkerEntry, worker: Candidate) -> PoppedJob | None:
        request = self._request(request_id)
        now = self._clock.now()
        negative = request.negative_prompt
        try:
            prompt = self._sealer.open(request.prompt)
            negative_prompt = self._sealer.open(negative) if negative else ""
        except Forgotten:
            # Whoever asked was forgotten: what was asked can never be made, and must not block.
            self._end_request(request, request.cancel)
            return None
        job_id = job_id_from(self._chance.new_id())
        job_number = request.jobs_sliced
        images = request.slice(
            job_id,
            worker_id=worker.worker_id,
            amount=worker.capabilities.amount,
            max_pixels=worker.capabilities.max_pixels,
            expires_at=now + self._waiting(request),
            timestamp=now,
        )
        lease = self._lifetimes.lease(
            request.settings, extra_slow_worker=worker.capabilities.extra_slow
        )
        job = Job.batch(
            job_id,
            images=images,
            request_id=request.id,
            worker_id=worker.worker_id,
            worker_name=entry.name,
            owner_id=entry.owner_id,
            model=model_for(worker.capabilities, request.requirements.models),
            seed=request.seed_of_job(job_number, self._chance.new_seed()),
            lease_ends_at=now + lease,
            kudos_per_image=round(image_kudos(request.settings), 2),
            pixelsteps=request.settings.pixelsteps,
            timestamp=now,
        )
        self.save(request, job)
        return PoppedJob(
            job_id=job.id,
            request_id=request.id,
            image_ids=job.image_ids,
            worker_id=worker.worker_id,
            model=job.model,
            prompt=prompt,
            negative_prompt=negative_prompt,
            settings=request.settings,
            seed=job.seed,
            lease_ends_at=job.lease_ends_at,
            lease_seconds=round(lease.total_seconds()),
            r2=request.r2,
        )

    def _save_with_request(self, job: Job) -> None:
        """Save a job and, if it just ended, what that means for its request, as one."""
        if job.is_leased or not job.pending_events:
            self.save(job)
            return
        now = self._clock.now()
        with self._transactions.transaction():
            request = self._request(job.request_id)
            request.take_back(
                job.id,
                delivered=len(job.delivered),
                lost=job.lost,
                expires_at=now + self._waiting(request),
                timestamp=now,
            )
            self.save(job, request)
            if request.is_beyond_hope:
                self._end_request(request, request.give_up)

    def _end_request(self, request: Request, end: EndRequest) -> None:
        """End a request early, and with it the jobs that still work on it."""
        now = self._clock.now()
        jobs = [self._job(job_id) for job_id in request.open_jobs]
        end(delivered_by_open_jobs=sum(len(job.delivered) for job in jobs), timestamp=now)
        for job in jobs:
            job.cancel(timestamp=now)
        self.save(request, *jobs)

    def _waiting(self, request: Request) -> timedelta:
        return self._lifetimes.waiting(extra_slow_workers=request.requirements.extra_slow_workers)

    def _request(self, request_id: UUID) -> Request:
        return self._load(Request, request_id, "RequestNotFound")

    def _job(self, job_id: UUID) -> Job:
        return self._load(Job, job_id, "InvalidJobID")

    def _load(self, kind: type[Stream], stream_id: UUID, missing: str) -> Stream:
        try:
            loaded: object = self.repository.get(stream_id)
        except AggregateNotFoundError:
            raise Refused(missing) from None
        if not isinstance(loaded, kind):
            raise Refused(missing)
        return loaded

    def _job_of_owner(self, job_id: UUID, owner_id: UUID) -> Job:
        job = self._job(job_id)
        if job.owner_id != owner_id:
            raise Refused("WrongCredentials")
        return job

    def _retried(self, command: Callable[[], Result]) -> Result:
        for _ in range(_ATTEMPTS):
            try:
                return command()
            except IntegrityError:
                continue
        raise Refused("Locked")
