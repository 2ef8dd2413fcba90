"""Messages to workers: what operators and owners have them read when they ask for work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

MOST_ACTIVE_MESSAGES = 100
"""Messages that one account may have active at a time: each pop looks through them all."""

MESSAGES_A_PAGE = 50


class Validity(StrEnum):
    """Which messages are meant, by their end."""

    ACTIVE = "active"
    EXPIRED = "expired"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class WorkerMessage:
    """A message to one worker, or to all of them."""

    message_id: UUID
    worker_id: UUID | None
    """Whom it is for; None: every worker."""
    author_id: UUID
    """The account that sent it."""
    text: str
    """1 to 10,240 characters."""
    origin: str
    """Who is said to speak, 1 to 255 characters."""
    created_at: datetime
    ends_at: datetime
    """Until when it is shown."""


class WorkerMessages(Protocol):
    """The port to the messages. They are no history: no events."""

    def add(self, message: WorkerMessage) -> None:
        """Keep a message.

        :raises Refused: ``Forbidden``, when its author has too many active ones.
        """

    def message(self, message_id: UUID) -> WorkerMessage | None:
        """Return a message, be it expired."""

    def delete(self, message_id: UUID) -> None:
        """Throw a message away; gone already is no error."""

    def page(
        self, *, worker_ids: Sequence[UUID] | None, validity: Validity, page: int
    ) -> Sequence[WorkerMessage]:
        """Return messages, the latest first, 50 a page.

        :param worker_ids: for these workers only, without those that are for every worker; None:
            all messages.
        :param page: 1 for the first.
        """

    def for_worker(self, worker_id: UUID) -> Sequence[WorkerMessage]:
        """Return what a worker is to read now, up to two seconds late, the oldest first.

        Costs no query but one in two seconds for all workers together.
        """
