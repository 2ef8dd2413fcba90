"""A subscription: what one client that waits has not received of its request yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from projections.view import RecordedEvent


@dataclass(frozen=True, slots=True)
class Updates:
    """What came in since the last ones were taken."""

    records: Sequence[RecordedEvent] = ()
    """Final events of the request and of its jobs, in log order."""
    steps: Mapping[UUID, tuple[int, int]] = field(default_factory=dict)
    """How far its jobs are now: the step and how many there are, by job."""


class Subscription:
    """Collects for one client, within bounds; for the event loop only.

    A client that is too slow is cut off: its subscription is over, and it comes back for the rest
    with the position that it has reached.
    """

    def __init__(
        self, request_id: UUID, *, most: int, on_close: Callable[[Subscription], None]
    ) -> None:
        """Collect nothing yet.

        :param most: events that may wait here.
        """
        self.request_id = request_id
        self.is_over = False
        """Whether nothing will come any more, although more may happen."""
        self._most = most
        self._on_close = on_close
        self._above: int | None = None
        self._records: list[RecordedEvent] = []
        self._steps: dict[UUID, tuple[int, int]] = {}
        self._arrived = asyncio.Event()

    def begin(self, above: int, missed: Sequence[RecordedEvent]) -> None:
        """Collect from now on what lies above this position.

        :param missed: events of the request that came in while that position was looked up.
        """
        self._above = above
        for record in missed:
            self.put(record)

    def put(self, record: RecordedEvent) -> None:
        """Take an event, if it is new and there is room."""
        if self.is_over or self._above is None or record.position <= self._above:
            return
        if len(self._records) >= self._most:
            self.end()
            return
        self._records.append(record)
        self._arrived.set()

    def step(self, job_id: UUID, step: int, steps: int) -> None:
        """Take how far a job is; the latest report counts."""
        if self._above is not None and not self.is_over:
            self._steps[job_id] = (step, steps)
            self._arrived.set()

    def end(self) -> None:
        """Let it be over at once, whatever lies here."""
        self.is_over = True
        self._records, self._steps = [], {}
        self._arrived.set()

    async def updates(self, within: float) -> Updates:
        """Wait for updates and take them; none when the time passes, or when it is over.

        :param within: seconds.
        """
        try:
            async with asyncio.timeout(within):
                await self._arrived.wait()
        except TimeoutError:
            return Updates()
        updates = Updates(self._records, self._steps)
        self._records, self._steps = [], {}
        if not self.is_over:
            self._arrived.clear()
        return updates

    def close(self) -> None:
        """Collect no more; closing again does nothing."""
        self.end()
        self._on_close(self)
