"""A worker: who runs it, what it declares, and whether it may have work."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.matching import Capabilities


class Worker(Aggregate):
    """A GPU that asks for jobs. Being alive is presence on the read side, not history."""

    TOPIC = "Worker"

    class Event(Aggregate.Event):
        """Something that happened to a worker."""

    class Created(Event, Aggregate.Created):
        """What the library wants a first event to be; never stored by itself."""

        TOPIC = "Worker.Created"

    class Registered(Created):
        """A worker asked for work for the first time."""

        TOPIC = "Worker.Registered"
        name: str
        owner_id: UUID
        capabilities: Capabilities

    class CapabilitiesDeclared(Event):
        """It declared something else than before."""

        TOPIC = "Worker.CapabilitiesDeclared"
        capabilities: Capabilities

        def apply(self, aggregate: Worker) -> None:
            """Believe the latest declaration."""
            aggregate.capabilities = self.capabilities

    class MaintenanceChanged(Event):
        """Its owner took it out of service, or put it back."""

        TOPIC = "Worker.MaintenanceChanged"
        maintenance: bool
        message: str

        def apply(self, aggregate: Worker) -> None:
            """Remember the mode."""
            aggregate.maintenance = self.maintenance

    class PauseChanged(Event):
        """A moderator took it out of service, or put it back."""

        TOPIC = "Worker.PauseChanged"
        paused: bool

        def apply(self, aggregate: Worker) -> None:
            """Remember the mode."""
            aggregate.paused = self.paused

    def __init__(self, name: str, owner_id: UUID, capabilities: Capabilities) -> None:
        """Start in service; called with the facts of :class:`Registered`."""
        self.name = name
        self.owner_id = owner_id
        self.capabilities = capabilities
        self.maintenance = False
        self.paused = False

    @classmethod
    def register(
        cls,
        worker_id: UUID,
        *,
        name: str,
        owner_id: UUID,
        capabilities: Capabilities,
        timestamp: datetime,
    ) -> Self:
        """Return a new worker with its first event pending."""
        return cls._create(
            cls.Registered,
            id=worker_id,
            name=name,
            owner_id=owner_id,
            capabilities=capabilities,
            timestamp=timestamp,
        )

    def declare(self, capabilities: Capabilities, *, timestamp: datetime) -> None:
        """Note what it declares, if that is new."""
        if capabilities != self.capabilities:
            self.trigger_event(
                self.CapabilitiesDeclared, capabilities=capabilities, timestamp=timestamp
            )

    def set_maintenance(self, maintenance: bool, *, message: str, timestamp: datetime) -> None:
        """Take it out of service for its owner, or put it back."""
        if maintenance != self.maintenance:
            self.trigger_event(
                self.MaintenanceChanged,
                maintenance=maintenance,
                message=message,
                timestamp=timestamp,
            )

    def set_paused(self, paused: bool, *, timestamp: datetime) -> None:
        """Take it out of service for a moderator, or put it back."""
        if paused != self.paused:
            self.trigger_event(self.PauseChanged, paused=paused, timestamp=timestamp)
