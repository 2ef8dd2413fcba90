"""Workers: signed in when they ask for work, changed and deleted by those who may."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.funds import Funds
from domain.jobs.commands import PopJob
from domain.ledger.core import Core
from domain.ledger.ports import Directory
from domain.ports import RandomSource
from domain.return_codes import Refused
from domain.workers.changes import WorkerChange
from domain.workers.directory import WorkerEntry
from domain.workers.worker import Worker, WorkerKind

WORKERS_OF_UNTRUSTED = 3
WORKERS_OF_TRUSTED = 20


class Workers:
    """What becomes of workers; rights are checked before (domain/workers/rights.py)."""

    def __init__(
        self, core: Core, directory: Directory, funds: Funds, random_source: RandomSource
    ) -> None:
        """Build on the core and these ports."""
        self._core = core
        self._directory = directory
        self._funds = funds
        self._random_source = random_source

    def sign_in(self, command: PopJob) -> WorkerEntry:
        """Find the worker by its name, registering it or noting what it declares anew.

        :raises Refused: ``AnonForbiddenWorker``, ``PolymorphicNameConflict``,
            ``WrongCredentials`` (another account's worker), ``WorkerInviteOnly``,
            ``TooManyWorkers``, ``TooManyWorkersTrusted`` or
            ``Locked``.
        """
        if command.owner_id == ANONYMOUS_ID:
            raise Refused("AnonForbiddenWorker")
        return self._core.retried(lambda: self._found_or_registered(command))

    def change(self, worker_id: UUID, change: WorkerChange) -> None:
        """Apply every field of a change, or none.

        :raises Refused: ``WorkerNotFound``, ``WorkerNameAlreadyExists`` or ``Locked``.
        """

        def change_all() -> None:
            worker = self._worker(worker_id)
            self._apply(worker, change, self._core.now())
            self._core.save(worker)

        self._core.retried(change_all)

    def delete(self, worker_id: UUID) -> None:
        """Strike a worker from the list: its name is free again, what it made stays.

        Images of a job that it has in hand can still be submitted.

        :raises Refused: ``WorkerNotFound`` or ``Locked``.
        """

        def delete_one() -> None:
            worker = self._worker(worker_id)
            worker.delete(timestamp=self._core.now())
            self._core.save(worker)

        self._core.retried(delete_one)

    def flag(self, worker_id: UUID, *, lost: int) -> None:
        """Put a worker into maintenance because it lost so many jobs; its owner can end that.

        One that is in maintenance, or gone, is no error.

        :raises Refused: ``WorkerNotFound`` or ``Locked``.
        """

        def flag_one() -> None:
            worker = self._core.load(Worker, worker_id, "WorkerNotFound")
            if not worker.deleted:
                worker.flag(lost, timestamp=self._core.now())
                self._core.save(worker)

        self._core.retried(flag_one)

    def _found_or_registered(self, command: PopJob) -> WorkerEntry:
        entry = self._directory.worker_by_name(command.worker_name)
        if entry is None:
            return self._register(command)
        if entry.kind is not command.kind:
            raise Refused("PolymorphicNameConflict")
        if entry.owner_id != command.owner_id:
            raise Refused("WrongCredentials")
        if entry.capabilities != command.capabilities:
            worker = self._core.load(Worker, entry.worker_id, "WorkerNotFound")
            worker.declare(command.capabilities, timestamp=self._core.now())
            self._core.save(worker)
        return entry

    def _register(self, command: PopJob) -> WorkerEntry:
        with self._core.transaction():
            # Two at once would each count without the other.
            self._funds.lock(command.owner_id)
            self._require_room(command)
            worker = Worker.register(
                self._random_source.new_id(),
                name=command.worker_name,
                owner_id=command.owner_id,
                kind=command.kind,
                capabilities=command.capabilities,
                timestamp=self._core.now(),
            )
            self._core.save(worker)
        return WorkerEntry(
            worker_id=worker.id,
            name=worker.name,
            owner_id=worker.owner_id,
            kind=worker.kind,
            capabilities=worker.capabilities,
            maintenance=False,
            paused=False,
        )

    def _require_room(self, command: PopJob) -> None:
        """Refuse a new worker where its owner runs enough of them.

        The installation's own workers are as many as the operator starts.
        """
        if command.kind is WorkerKind.IN_CLUSTER:
            return
        invited = command.owner_invited
        usual = WORKERS_OF_TRUSTED if command.owner_trusted else WORKERS_OF_UNTRUSTED
        running = self._directory.workers_of(command.owner_id)
        if command.invite_only and running >= invited:
            raise Refused("WorkerInviteOnly")
        if running >= usual + invited:
            raise Refused("TooManyWorkersTrusted" if command.owner_trusted else "TooManyWorkers")

    def _worker(self, worker_id: UUID) -> Worker:
        worker = self._core.load(Worker, worker_id, "WorkerNotFound")
        if worker.deleted:
            raise Refused("WorkerNotFound")
        return worker

    def _apply(self, worker: Worker, change: WorkerChange, now: datetime) -> None:
        if change.name is not None:
            named = self._directory.worker_by_name(change.name)
            if named is not None and named.worker_id != worker.id:
                raise Refused("WorkerNameAlreadyExists")
            worker.rename(change.name, timestamp=now)
        if change.info is not None:
            worker.describe(change.info, timestamp=now)
        if change.maintenance is not None:
            message = change.maintenance_message if change.maintenance else ""
            worker.set_maintenance(change.maintenance, message=message, timestamp=now)
        if change.paused is not None:
            worker.set_paused(change.paused, timestamp=now)
