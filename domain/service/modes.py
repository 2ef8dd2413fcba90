"""The service as a whole: the modes in which its moderators and admins put it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate

HORDE_ID = UUID(int=1)
"""The one stream of the service as a whole; only its operators write there, and rarely."""


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes of the service; none of them is the usual state."""

    maintenance: bool = False
    """Whether no new requests are taken; what waits is still served."""
    invite_only: bool = False
    """Whether new workers are taken from invited accounts only."""
    raid: bool = False
    """Whether moderators expect abuse; said to moderators only."""


class Horde(Aggregate):
    """The service as a whole."""

    TOPIC = "Horde"

    class Event(Aggregate.Event):
        """Something that happened to the service."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Horde.Created"

    class Founded(Created):
        """Something was decided about the service as a whole for the first time."""

        TOPIC = "Horde.Founded"

    class ModesChanged(Event):
        """It went into other modes."""

        TOPIC = "Horde.ModesChanged"
        modes: Modes
        by: UUID | None
        """The account that decided; None for the operator at the machine itself."""

        def apply(self, aggregate: Horde) -> None:
            """Remember the modes."""
            aggregate.modes = self.modes

    def __init__(self) -> None:
        """Start in the usual state."""
        self.modes = Modes()

    @classmethod
    def found(cls, *, timestamp: datetime) -> Self:
        """Return the service with its first event pending."""
        return cls._create(cls.Founded, id=HORDE_ID, timestamp=timestamp)

    def change_modes(self, modes: Modes, *, by: UUID | None, timestamp: datetime) -> None:
        """Go into other modes; the present ones are no news."""
        if modes != self.modes:
            self.trigger_event(self.ModesChanged, modes=modes, by=by, timestamp=timestamp)
