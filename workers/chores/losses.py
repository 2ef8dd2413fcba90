"""Workers that lose what they are given are put into maintenance, where they do no harm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from domain.return_codes import Refused

_log = structlog.get_logger(__name__)


class Losing(Protocol):
    """What is known of workers, as this rule sees it."""

    def losing(self, more_than: int, now: datetime) -> Mapping[UUID, int]:
        """Return the workers that lost more jobs than this of late, and how many each."""


class Flagging(Protocol):
    """The ledger as this rule sees it."""

    def flag(self, worker_id: UUID, *, lost: int) -> None:
        """Put a worker into maintenance."""


def flag_losing_workers(known: Losing, ledger: Flagging, most: int, now: datetime) -> int:
    """Put workers into maintenance that lost too many jobs within an hour; return their number.

    Without this a worker that fails at once would take, and lose, what others could have made.

    :param most: jobs that a worker may lose within an hour; 0 for any number.
    """
    if not most:
        return 0
    flagged = 0
    for worker_id, lost in known.losing(most, now).items():
        try:
            ledger.flag(worker_id, lost=lost)
        except Refused as refusal:
            _log.info("not flagged", worker=str(worker_id), rc=refusal.code.name)
        else:
            _log.warning("put into maintenance", worker=str(worker_id), lost=lost)
            flagged += 1
    return flagged
