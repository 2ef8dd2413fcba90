"""Doing once what may be sent again."""

from __future__ import annotations

from collections.abc import Callable

from eventsourcing.persistence import IntegrityError

from domain.ledger.base import LedgerBase
from domain.ledger.idempotency import REMEMBERED, CommandResult, IdempotencyKey


class RepeatingCommands(LedgerBase):
    """What all commands have in common that a client may send again."""

    def earlier(self, attempt: IdempotencyKey) -> CommandResult | None:
        """Return what came of a command when it was sent before; None when it is new.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """
        return self._repeats.earlier(attempt, self._clock.now())

    def _once(
        self, attempt: IdempotencyKey | None, command: Callable[[], CommandResult]
    ) -> CommandResult:
        """Do a command unless it was done before; of several at once, one does it.

        What came of it is noted in the transaction of its events. A command that is refused leaves
        no note, and is tried anew when it is sent again.

        :param attempt: what tells that it is the same; None for one that is never sent again.
        :param command: must not try again by itself what lost a race.
        :raises Refused: as :meth:`earlier` does, or ``Locked``.
        """
        if attempt is None:
            return command()

        def once() -> CommandResult:
            earlier = self.earlier(attempt)
            if earlier is not None:
                return earlier
            with self._transactions.transaction():
                done = command()
                now = self._clock.now()
                if not self._repeats.remember(attempt, done, now=now, until=now + REMEMBERED):
                    raise IntegrityError("the same command was faster")
            return done

        return self._retried(once)
