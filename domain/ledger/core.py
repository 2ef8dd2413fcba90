"""What every command builds on: loading, saving, transactions, and doing it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import IntegrityError

from domain.ledger.idempotency import (
    REMEMBERED,
    CommandResult,
    IdempotencyKey,
    IdempotencyStore,
)
from domain.ports import Clock, Transactions
from domain.return_codes import Refused

ATTEMPTS = 25
"""How often a command that loses its races is attempted before it is refused with ``Locked``."""

Result = TypeVar("Result")
Stream = TypeVar("Stream", bound=Aggregate)


class Core:
    """The streams of the ledger, and the ways in which all commands change them."""

    def __init__(
        self,
        application: Application[UUID],
        transactions: Transactions,
        clock: Clock,
        idempotency: IdempotencyStore,
    ) -> None:
        """Load from and save to this application."""
        self._application = application
        self._transactions = transactions
        self._clock = clock
        self._idempotency = idempotency

    def now(self) -> datetime:
        """Return the present time, with its time zone."""
        return self._clock.now()

    def find(self, kind: type[Stream], stream_id: UUID) -> Stream | None:
        """Return a stream's state; None when there is no such stream, or it is of another kind."""
        try:
            found: object = self._application.repository.get(stream_id, projector_func=_replayed)
        except AggregateNotFoundError:
            return None
        return found if isinstance(found, kind) else None

    def load(self, kind: type[Stream], stream_id: UUID, missing: str) -> Stream:
        """Return a stream's state.

        :param missing: the return code to refuse with when there is no such stream.
        """
        found = self.find(kind, stream_id)
        if found is None:
            raise Refused(missing)
        return found

    def exists(self, stream_id: UUID) -> bool:
        """Whether there is such a stream; reads its first event alone."""
        try:
            self._application.repository.get(stream_id, version=1)
        except AggregateNotFoundError:
            return False
        return True

    def save(self, *streams: Aggregate) -> None:
        """Save what happened to these streams, all of it or nothing.

        :raises IntegrityError: when another transaction was faster.
        """
        self._application.save(*streams)

    def transaction(self) -> AbstractContextManager[object]:
        """Open a transaction, or join this thread's open one; an exception undoes all of it."""
        return self._transactions.transaction()

    def retried(self, command: Callable[[], Result]) -> Result:
        """Do a command, and do it again from its beginning when it loses a race.

        Within a transaction that is open already it is done once.

        :raises Refused: ``Locked``, after :data:`ATTEMPTS` attempts.
        :raises IntegrityError: within an open transaction: its opener has to begin anew.
        """
        if self._transactions.in_transaction:
            return command()
        for _ in range(ATTEMPTS):
            try:
                return command()
            except IntegrityError:
                continue
        raise Refused("Locked")

    def earlier(self, key: IdempotencyKey) -> CommandResult | None:
        """Return the earlier result of a command that was sent before; None when it is new.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """
        return self._idempotency.earlier(key, self._clock.now())

    def once(
        self, key: IdempotencyKey | None, command: Callable[[], CommandResult]
    ) -> CommandResult:
        """Do a command as :meth:`retried` does, unless it was done before; of several at once, one
        does it.

        What came of it is noted in the transaction of its events. A command that is refused leaves
        no note, and is attempted anew when it is sent again.

        :param key: the idempotency key; None where the client sent none.
        :raises Refused: as :meth:`earlier` does, or ``Locked``.
        """
        if key is None:
            return self.retried(command)

        def once() -> CommandResult:
            earlier = self.earlier(key)
            if earlier is not None:
                return earlier
            with self._transactions.transaction():
                done = command()
                now = self._clock.now()
                if not self._idempotency.remember(key, done, now=now, until=now + REMEMBERED):
                    raise IntegrityError("the same command was faster")
            return done

        return self.retried(once)


def _replayed(stream: Any, events: Iterable[Any]) -> Any:
    """Apply events one after the other; the library's own function first asks each of them, at a
    price above that of applying it, whether it has the method."""
    for event in events:
        stream = event.mutate(stream)
    return stream
