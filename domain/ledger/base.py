"""What every command of the ledger builds on: its ports, loading, and trying again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import ApplicationRecorder, EventStore, IntegrityError, Mapper

from domain.accounts.allowances import Allowances
from domain.accounts.funds import Funds
from domain.jobs.job import Job
from domain.jobs.lifetimes import Lifetimes
from domain.jobs.queue import WaitingQueue
from domain.ledger.idempotency import IdempotencyStore
from domain.ledger.loaded_models import LoadedModels
from domain.ledger.passed_over import SkippedRequests
from domain.ledger.ports import Directory
from domain.models.catalogue import Models
from domain.ports import Clock, RandomSource, Transactions
from domain.requests.request import Request
from domain.return_codes import Refused
from domain.sealing import Sealer

ATTEMPTS = 25
"""How often a command that lost a race is tried again before its caller is told to."""

Result = TypeVar("Result")
Stream = TypeVar("Stream", bound=Aggregate)


class LedgerBase(Application[UUID]):
    """The ledger's ports and the ways that all its commands share."""

    name = "ledger"

    def __init__(
        self,
        *,
        events: EventStore[UUID],
        transactions: Transactions,
        queue: WaitingQueue,
        directory: Directory,
        funds: Funds,
        models: Models,
        sealer: Sealer,
        clock: Clock,
        random_source: RandomSource,
        lifetimes: Lifetimes,
        allowances: Allowances,
        repeats: IdempotencyStore,
    ) -> None:
        """Build the ledger on its ports."""
        self._given_events = events
        self._transactions = transactions
        self._queue = queue
        self._directory = directory
        self._funds = funds
        self._models = models
        self._sealer = sealer
        self._clock = clock
        self._random_source = random_source
        self._lifetimes = lifetimes
        self._allowances = allowances
        self._repeats = repeats
        self._passed_over = SkippedRequests()
        self._loaded_models = LoadedModels()
        super().__init__(env={})

    def construct_recorder(self) -> ApplicationRecorder:
        """Use the recorder of the event store that the ledger was given."""
        recorder = self._given_events.recorder
        assert isinstance(recorder, ApplicationRecorder)
        return recorder

    def construct_mapper(self) -> Mapper[UUID]:
        """Use the mapper of the event store that the ledger was given."""
        return self._given_events.mapper

    def construct_event_store(self) -> EventStore[UUID]:
        """Use the event store that the ledger was given."""
        return self._given_events

    def _waiting(self, request: Request) -> timedelta:
        return self._lifetimes.waiting(
            extra_slow_workers=request.submitted.requirements.extra_slow_workers
        )

    def _request(self, request_id: UUID) -> Request:
        return self._load(Request, request_id, "RequestNotFound")

    def _job(self, job_id: UUID) -> Job:
        return self._load(Job, job_id, "InvalidJobID")

    def _load(self, kind: type[Stream], stream_id: UUID, missing: str) -> Stream:
        """Return a stream's state.

        :param missing: the return code to refuse with when there is no such stream.
        """
        try:
            loaded: object = self.repository.get(stream_id, projector_func=_replayed)
        except AggregateNotFoundError:
            raise Refused(missing) from None
        if not isinstance(loaded, kind):
            raise Refused(missing)
        return loaded

    def _retried(self, command: Callable[[], Result]) -> Result:
        for _ in range(ATTEMPTS):
            try:
                return command()
            except IntegrityError:
                continue
        raise Refused("Locked")


def _replayed(stream: Any, events: Iterable[Any]) -> Any:
    """Apply events one after the other; the library's own function first asks each of them, at a
    price above that of applying it, whether it has the method."""
    for event in events:
        stream = event.mutate(stream)
    return stream
