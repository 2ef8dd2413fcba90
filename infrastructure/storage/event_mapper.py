"""Events as JSON: explicit types in, explicit types out, versioned from the first day.

The stored state is plain JSON that any language can read: the event's own fields, the timestamp,
and ``event_version``, the version of the event class that wrote it. An older state is brought up
to date by the class's ``upcast_v1_v2``, ``upcast_v2_v3``… before its types are checked.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

import orjson
from eventsourcing.domain import Aggregate, DomainEventProtocol
from eventsourcing.persistence import (
    JSONTranscoder,
    Mapper,
    MapperDeserialisationError,
    StoredEvent,
)
from pydantic import TypeAdapter, ValidationError

from domain.events import EVENT_CLASSES, name_of

_STREAM = {"originator_id", "originator_version"}
_VERSION = "event_version"


class UnknownEvent(MapperDeserialisationError):
    """The log holds an event that this program is too old (or too broken) to know."""


class EventMapper(Mapper[UUID]):
    """Turns events into stored JSON and back."""

    def __init__(self) -> None:
        """Build the mapper; the library's transcoder is not used."""
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Write an event down."""
        assert isinstance(domain_event, Aggregate.Event)
        kind = type(domain_event)
        fields = _adapter(kind).dump_python(domain_event, mode="json", exclude=_STREAM)
        fields[_VERSION] = _version(kind)
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=name_of(kind),
            state=orjson.dumps(fields),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Aggregate.Event:
        """Read an event back.

        :raises UnknownEvent: when there is no event class of this name and version.
        :raises MapperDeserialisationError: when its fields are not what the class says.
        """
        kind = EVENT_CLASSES.get(stored_event.topic)
        if kind is None:
            raise UnknownEvent(f"no event is called {stored_event.topic}")
        fields: dict[str, Any] = orjson.loads(stored_event.state)
        written, known = fields.pop(_VERSION), _version(kind)
        if written > known:
            raise UnknownEvent(
                f"{stored_event.topic} of version {written} was written by a newer program"
            )
        for version in range(written, known):
            getattr(kind, f"upcast_v{version}_v{version + 1}")(fields)
        fields["originator_id"] = stored_event.originator_id
        fields["originator_version"] = stored_event.originator_version
        try:
            return _adapter(kind).validate_python(fields)
        except ValidationError as error:
            wrong = ", ".join(str(part["loc"]) for part in error.errors(include_input=False))
            raise MapperDeserialisationError(
                f"{stored_event.topic} at version {stored_event.originator_version} of "
                f"{stored_event.originator_id} has unreadable fields: {wrong}"
            ) from None


@cache
def _adapter(kind: type[Aggregate.Event]) -> TypeAdapter[Aggregate.Event]:
    return TypeAdapter(kind)


def _version(kind: type[Aggregate.Event]) -> int:
    return int(getattr(kind, "class_version", 1))
