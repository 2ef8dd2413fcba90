"""Signing in: a worker that asks for work is found by its name, or registered."""

from __future__ import annotations

from domain.accounts.account import ANONYMOUS_ID
from domain.jobs.commands import PopJob
from domain.ledger.base import LedgerBase
from domain.return_codes import Refused
from domain.workers.directory import WorkerEntry
from domain.workers.worker import Worker, WorkerKind

WORKERS_OF_UNTRUSTED = 3
WORKERS_OF_TRUSTED = 20


class SigningInCommands(LedgerBase):
    """What a worker goes through before it is given anything."""

    def _sign_in(self, command: PopJob) -> WorkerEntry:
        """Find the worker by its name, registering it or noting a new declaration.

        :raises Refused: ``AnonForbiddenWorker``, ``PolymorphicNameConflict``,
            ``WorkerNameAlreadyExists``, ``WorkerInviteOnly`` or ``NotTrusted``.
        """
        if command.owner_id == ANONYMOUS_ID:
            raise Refused("AnonForbiddenWorker")
        entry = self._directory.worker_by_name(command.worker_name)
        if entry is None:
            return self._register(command)
        if entry.kind is not command.kind:
            raise Refused("PolymorphicNameConflict")
        if entry.owner_id != command.owner_id:
            raise Refused("WorkerNameAlreadyExists")
        if entry.capabilities != command.capabilities:
            worker = self._load(Worker, entry.worker_id, "WorkerNotFound")
            worker.declare(command.capabilities, timestamp=self._clock.now())
            self.save(worker)
        return entry

    def _register(self, command: PopJob) -> WorkerEntry:
        self._require_room_for_worker(command)
        worker = Worker.register(
            self._random_source.new_id(),
            name=command.worker_name,
            owner_id=command.owner_id,
            kind=command.kind,
            capabilities=command.capabilities,
            timestamp=self._clock.now(),
        )
        self.save(worker)
        return WorkerEntry(
            worker_id=worker.id,
            name=worker.name,
            owner_id=worker.owner_id,
            kind=worker.kind,
            capabilities=worker.capabilities,
            maintenance=False,
            paused=False,
        )

    def _require_room_for_worker(self, command: PopJob) -> None:
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
            raise Refused("NotTrusted")
