"""Reads a stream of Server-Sent Events, comments as signs of life included.

``httpx-sse`` would do the parsing, but it (0.4.3) bounds neither a line nor an event and drops
comments: a server could fill the memory, and a silent connection would look like a dead one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "text/event-stream"

_LARGEST_EVENT_BYTES = 96 * 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")


class NoStream(Exception):
    """The server has no stream of events, or none that can be understood."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream."""

    event: str
    """Its name."""
    last_id: str
    """The id to resume the stream after; empty before the first id."""
    data: dict[str, Any]


def events_in(chunks: Iterable[bytes]) -> Iterator[StreamEvent | None]:
    """Yield each event, and None for each sign of life between them.

    An incomplete event at the end is dropped; it comes again after resuming.

    :param chunks: the body, cut anywhere.
    :raises NoStream: when the data of an event is not a JSON object, or is larger than 96 MiB.
    """
    event, last_id, data, size = "", "", list[str](), 0
    for line in _lines(chunks):
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
                # A line counts 1 at least, so that empty ones are bounded, too.
                size += len(value) + 1
                if size > _LARGEST_EVENT_BYTES:
                    raise NoStream("an event is too large")
            elif name == "id" and "\0" not in value:
                last_id = value
        else:
            if data:
                yield StreamEvent(event or "message", last_id, _object("\n".join(data)))
            event, data, size = "", [], 0


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    # Not what splits lines of text elsewhere: JSON may hold U+2028, which ends no line here.
    begun: list[bytes] = []
    size = 0
    held = b""
    for chunk in chunks:
        # A CR at the end may be half of a CRLF.
        whole = held + chunk
        held = whole[-1:] if whole.endswith(b"\r") else b""
        first, *others = _LINE_END.split(whole.removesuffix(b"\r"))
        begun.append(first)
        size += len(first)
        for line in others:
            yield b"".join(begun).decode("utf-8", "replace")
            begun, size = [line], len(line)
        if size > _LARGEST_EVENT_BYTES:
            raise NoStream("an event is too large")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoStream("the data of an event is not a JSON object")
    return found
