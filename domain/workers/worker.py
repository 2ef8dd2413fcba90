"""A worker: who runs it, what it declares, and whether it may have work."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.workers.matching import Capabilities


class WorkerKind(StrEnum):
    """How a worker reaches the ledger."""

    REMOTE = "remote"
    """Over HTTP, run by anybody with an account."""
    IN_CLUSTER = "in_cluster"
    """As a process of the installation itself."""


_IN_CLUSTER_AGENT = "Hoard in-cluster:"
"""What the agents of in-cluster workers began with before their kind was recorded."""


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
        class_version = 3
        name: str
        owner_id: UUID
        kind: WorkerKind
        capabilities: Capabilities

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """The kind showed in the agent's name alone."""
            agent = state["capabilities"]["bridge_agent"]
            in_cluster = agent.startswith(_IN_CLUSTER_AGENT)
            state["kind"] = WorkerKind.IN_CLUSTER if in_cluster else WorkerKind.REMOTE

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            """Features followed from the agent's name alone: the default says so."""

    class CapabilitiesDeclared(Event):
        """It declared something else than before."""

        TOPIC = "Worker.CapabilitiesDeclared"
        class_version = 3
        capabilities: Capabilities

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            """What a worker did not declare it could not do: the defaults say so."""

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            """Features followed from the agent's name alone: the default says so."""

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
            aggregate.maintenance_message = self.message
            aggregate.flagged = False

    class PauseChanged(Event):
        """A moderator took it out of service, or put it back."""

        TOPIC = "Worker.PauseChanged"
        paused: bool

        def apply(self, aggregate: Worker) -> None:
            """Remember the mode."""
            aggregate.paused = self.paused

    class Renamed(Event):
        """It has another name."""

        TOPIC = "Worker.Renamed"
        name: str

        def apply(self, aggregate: Worker) -> None:
            """Remember the name."""
            aggregate.name = self.name

    class InfoChanged(Event):
        """Its owner says something else about it."""

        TOPIC = "Worker.InfoChanged"
        info: str
        """At most 1,000 characters; empty for nothing."""

        def apply(self, aggregate: Worker) -> None:
            """Remember the words."""
            aggregate.info = self.info

    class FlaggedForMaintenance(Event):
        """It lost so many jobs that it was taken out of service without being asked."""

        TOPIC = "Worker.FlaggedForMaintenance"
        lost: int
        """How many jobs it lost within an hour."""

        def apply(self, aggregate: Worker) -> None:
            """Take it out of service."""
            aggregate.maintenance = True
            aggregate.flagged = True

    class Deleted(Event):
        """Its owner (or a moderator) struck it from the list; its name is free again."""

        TOPIC = "Worker.Deleted"

        def apply(self, aggregate: Worker) -> None:
            """Close the worker."""
            aggregate.deleted = True

    def __init__(
        self, name: str, owner_id: UUID, kind: WorkerKind, capabilities: Capabilities
    ) -> None:
        """Start in service; called with the facts of :class:`Registered`."""
        self.name = name
        self.owner_id = owner_id
        self.kind = kind
        self.capabilities = capabilities
        self.maintenance = False
        self.maintenance_message = ""
        self.flagged = False
        """Whether it is in maintenance because it lost too many jobs."""
        self.paused = False
        self.info = ""
        self.deleted = False

    @classmethod
    def register(
        cls,
        worker_id: UUID,
        *,
        name: str,
        owner_id: UUID,
        kind: WorkerKind,
        capabilities: Capabilities,
        timestamp: datetime,
    ) -> Self:
        """Return a new worker with its first event pending."""
        return cls._create(
            cls.Registered,
            id=worker_id,
            name=name,
            owner_id=owner_id,
            kind=kind,
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
        if maintenance != self.maintenance or message != self.maintenance_message:
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

    def rename(self, name: str, *, timestamp: datetime) -> None:
        """Give it another name, 1 to 100 characters that no other worker has."""
        if name != self.name:
            self.trigger_event(self.Renamed, name=name, timestamp=timestamp)

    def describe(self, info: str, *, timestamp: datetime) -> None:
        """Say something else about it, at most 1,000 characters."""
        if info != self.info:
            self.trigger_event(self.InfoChanged, info=info, timestamp=timestamp)

    def flag(self, lost: int, *, timestamp: datetime) -> None:
        """Take it out of service because it lost so many jobs; its owner can put it back."""
        if not self.maintenance:
            self.trigger_event(self.FlaggedForMaintenance, lost=lost, timestamp=timestamp)

    def delete(self, *, timestamp: datetime) -> None:
        """Strike it from the list; struck already is no error."""
        if not self.deleted:
            self.trigger_event(self.Deleted, timestamp=timestamp)
