"""Workers: named, described, taken out of service and struck from the list by those who may."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.ledger.base import LedgerBase
from domain.return_codes import Refused
from domain.workers.changes import WorkerChange
from domain.workers.worker import Worker


class WorkerCommands(LedgerBase):
    """What becomes of workers; who may do it is decided before, in domain/accounts/rights.py."""

    def change_worker(self, worker_id: UUID, change: WorkerChange) -> None:
        """Change what is named in a change, all of it or nothing.

        :raises Refused: ``WorkerNotFound``, ``WorkerNameAlreadyExists`` or ``Locked``.
        """

        def change_worker() -> None:
            worker = self._worker(worker_id)
            self._apply_to_worker(worker, change, self._clock.now())
            self.save(worker)

        self._retried(change_worker)

    def delete_worker(self, worker_id: UUID) -> None:
        """Strike a worker from the list: its name is free again, what it made stays.

        A job that it has in hand can still be delivered.

        :raises Refused: ``WorkerNotFound`` or ``Locked``.
        """

        def delete() -> None:
            worker = self._worker(worker_id)
            worker.delete(timestamp=self._clock.now())
            self.save(worker)

        self._retried(delete)

    def _worker(self, worker_id: UUID) -> Worker:
        worker = self._load(Worker, worker_id, "WorkerNotFound")
        if worker.deleted:
            raise Refused("WorkerNotFound")
        return worker

    def _apply_to_worker(self, worker: Worker, change: WorkerChange, now: datetime) -> None:
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
