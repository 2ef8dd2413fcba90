"""The workers that are here now: which requests they may serve, and how fast they are together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from uuid import UUID

from domain.names import named_and_numbered
from domain.workers.matching import Candidate, Requirements, why_not
from projections.directory.view import AccountDirectory
from projections.workers.presence import Presence, PresentWorker
from projections.workers.reader import WorkersReader

UNMEASURED_SPEED = 1.0
"""Megapixelsteps a second that a worker is taken to make until it was measured."""

_MOST_NAMES = 10_000
_NAME_SECONDS = 60.0
"""How long a name's worker is cached: few are renamed or deleted."""


class _Snapshot:
    """The workers of one moment, and what was already found out about them."""

    def __init__(
        self, present: Sequence[PresentWorker], workers: Sequence[Candidate], speed: float
    ):
        self.present = present
        self.speed = speed
        self._workers = workers
        self._may_serve: dict[Requirements, bool] = {}

    def may_serve(self, wanted: Requirements) -> bool:
        known = self._may_serve.get(wanted)
        if known is None:
            known = any(why_not(worker, wanted) is None for worker in self._workers)
            self._may_serve[wanted] = known
        return known


class AvailableWorkers:
    """Answers from one look at the workers a second, however many ask."""

    def __init__(
        self, presence: Presence, workers: WorkersReader, directory: AccountDirectory
    ) -> None:
        """Look at who is present, at what is known of them, and at their owners."""
        self._presence = presence
        self._workers = workers
        self._directory = directory
        self._ids: dict[str, tuple[float, UUID | None]] = {}
        self._accounts: dict[int, UUID] = {}
        self._snapshot = _Snapshot((), (), 0.0)
        self._refreshing = threading.Lock()

    def may_serve(self, wanted: Requirements) -> bool:
        """Whether a worker that is here, in service, may serve such a request."""
        return self._now().may_serve(wanted)

    def megapixelsteps_per_second(self) -> float:
        """Return the speed of all workers that are here, of one at least."""
        return self._now().speed or UNMEASURED_SPEED

    def is_slow(self, worker_name: str) -> bool:
        """Whether the worker of this name was measured as slow; a new one was not measured yet."""
        worker_id = self.id_of(worker_name)
        return worker_id is not None and self._workers.is_slow(worker_id)

    def account_of(self, handle: str) -> UUID | None:
        """Return the account that goes by ``name#number``; the number decides, names may change.

        Once known it stays: a number never passes to another account.
        """
        known = named_and_numbered(handle)
        if known is None:
            return None
        _, number = known
        if number not in self._accounts:
            entry = self._directory.account_by_number(number)
            if entry is None:
                return None
            if len(self._accounts) >= _MOST_NAMES:
                self._accounts.clear()
            self._accounts[number] = entry.account_id
        return self._accounts[number]

    def is_full_at(self, address: str, most: int, worker_name: str) -> bool:
        """Whether so many workers are here from one address that another one is too many.

        A worker that is known already is never too many.

        :param address: the digest of the address.
        :param most: workers at one address; 0 for any number.
        """
        if not most or self.id_of(worker_name) is not None:
            return False
        return self._presence.count_at(address) >= most

    def id_of(self, worker_name: str) -> UUID | None:
        """Return the id of the worker that has this name, or had it within the last minute."""
        now = time.monotonic()
        until, known = self._ids.get(worker_name, (now, None))
        if now < until:
            return known
        entry = self._directory.worker_by_name(worker_name)
        if entry is None:
            return None
        if len(self._ids) >= _MOST_NAMES:
            self._ids.clear()
        self._ids[worker_name] = (now + _NAME_SECONDS, entry.worker_id)
        return entry.worker_id

    def _now(self) -> _Snapshot:
        # Presence repeats the very same list for as long as it is fresh.
        present = self._presence.present()
        if self._snapshot.present is not present:
            with self._refreshing:
                if self._snapshot.present is not present:
                    self._snapshot = self._read(present)
        return self._snapshot

    def _read(self, present: Sequence[PresentWorker]) -> _Snapshot:
        candidates: list[Candidate] = []
        speed = 0.0
        trusted: dict[UUID, bool] = {}
        for worker in present:
            record = self._workers.worker(worker.worker_id)
            if record is not None and (record.maintenance or record.paused):
                continue
            if record is not None and record.owner_id not in trusted:
                owner = self._directory.account(record.owner_id)
                trusted[record.owner_id] = owner is not None and owner.roles.trusted
            candidates.append(
                Candidate(
                    worker_id=worker.worker_id,
                    capabilities=worker.capabilities,
                    trusted=record is not None and trusted[record.owner_id],
                    slow=self._workers.is_slow(worker.worker_id),
                )
            )
            speed += self._workers.speed_of(worker.worker_id) or UNMEASURED_SPEED
        return _Snapshot(present, candidates, speed)
