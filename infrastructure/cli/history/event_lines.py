"""An event of the log as one line for people, or one JSON object for programs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from rich.text import Text

from domain.events import EVENT_CLASSES, name_of
from domain.sealing import Sealed
from infrastructure.cli.terminal.output import printable
from projections.view import RecordedEvent

SEALED = "‹sealed›"  # noqa: RUF001
"""Stands for personal data: listing the history never opens it."""

# The library's own, or shown in columns of their own.
_APART = frozenset({"originator_id", "originator_version", "originator_topic", "timestamp"})

_COLOURS = {
    "Request": "cyan",
    "Job": "magenta",
    "Worker": "yellow",
    "Account": "green",
    "WebhookDelivery": "blue",
    "WebhookEndpoint": "blue",
    "WebhookSecret": "blue",
}
_SHORT_KINDS = {
    "WebhookDelivery": "Delivery",
    "WebhookEndpoint": "Endpoint",
    "WebhookSecret": "Secret",
}
"""Short names for a terminal."""

_LONGEST_TYPE = max(map(len, EVENT_CLASSES))
_LONGEST_KIND = max(len(name.partition(".")[0]) for name in EVENT_CLASSES)


@dataclass(frozen=True, slots=True)
class EventLine:
    """What is shown of one event."""

    position: int
    kind: str
    """What its stream is, such as Request, Job or WebhookDelivery."""
    stream: UUID
    version: int
    """Its version in its stream, 1 for the first."""
    type: str
    time: datetime
    data: Mapping[str, Any]
    """The event's own facts, ready for JSON, personal ones as :data:`SEALED`."""

    @classmethod
    def of(cls, recorded: RecordedEvent) -> EventLine:
        """Return the line of an event."""
        event = recorded.event
        name = name_of(type(event))
        return cls(
            position=recorded.position,
            kind=name.partition(".")[0],
            stream=event.originator_id,
            version=event.originator_version,
            type=name,
            time=event.timestamp,
            data={
                field: _plain(value) for field, value in vars(event).items() if field not in _APART
            },
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` writes."""
        return {
            "position": self.position,
            "stream": {"kind": self.kind, "id": str(self.stream)},
            "version": self.version,
            "type": self.type,
            "time": _instant(self.time),
            "data": self.data,
        }

    def as_text(self) -> str:
        """Return all of it in one line of plain text."""
        return "  ".join(
            (
                f"{self.position:>6}",
                f"{self.kind:<{_LONGEST_KIND}} {self.stream}",
                f"v{self.version:<2}",
                f"{self.type:<{_LONGEST_TYPE}}",
                _instant(self.time),
                self._data(),
            )
        )

    def as_coloured(self, width: int) -> Text:
        """Return one line for a terminal of ``width`` columns, cut off where it ends."""
        wide = width >= 140
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        line.append(f"{self.position:>5}  ", style="dim")
        line.append(f"{self.time.astimezone():%H:%M:%S}  ", style="dim")
        kind = _SHORT_KINDS.get(self.kind, self.kind)
        line.append(f"{kind:<9} ", style=_COLOURS.get(self.kind, ""))
        line.append(f"{self.stream if wide else str(self.stream)[:8]}  ")
        line.append(f"v{self.version:<2} ", style="dim")
        line.append(f"{self.type.partition('.')[2]:<14} ", style="bold")
        line.append(printable(brief(self.data)), style="dim")
        line.truncate(width, overflow="ellipsis")
        return line

    def _data(self) -> str:
        # JSON escapes control characters up to U+001F, and none above.
        return printable(orjson.dumps(self.data).decode())


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> Any:
    if isinstance(value, Sealed):
        return SEALED
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [_plain(part) for part in value]
    return value


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z")


def brief(data: Mapping[str, Any]) -> str:
    """Return ``name=value`` for each fact: figures first, then ids, digests and times, cut short.

    Facts that are null, false or empty are left out, and objects are flattened.
    """
    figures: list[str] = []
    references: list[str] = []
    for name, value in _facts(data):
        if value is None or value is False or value in ("", [], {}):
            continue
        if isinstance(value, list):
            references.append(f"{name}=[{len(value)}]")
        elif isinstance(value, str) and (short := _shortened(value)) is not None:
            references.append(f"{name}={short}")
        elif value is True:
            references.append(name)
        else:
            figures.append(f"{name}={value}")
    return " ".join(figures + references)


def _facts(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _facts(value)
        else:
            yield name, value


def _shortened(value: str) -> str | None:
    """Return a short form of an id, a digest or a time; None for any other text."""
    if _ID.fullmatch(value):
        # Ids of the images of one batch differ at their end only.
        return f"{value[:8]}…{value[-2:]}"
    if _DIGEST.fullmatch(value):
        return f"{value[:8]}…"
    if found := _INSTANT.fullmatch(value):
        return found[1]
    return None
