"""Reading Server-Sent Events as they come, signs of life among them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "text/event-stream"

_LARGEST_LINE_BYTES = 96 * 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")


class NoStream(Exception):
    """The server has no stream of events, or none that can be understood."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a stream."""

    event: str
    """What it is called."""
    last_id: str
    """With what the stream can be resumed after it; empty where it has no id yet."""
    data: dict[str, Any]


def events_in(chunks: Iterable[bytes]) -> Iterator[Happened | None]:
    """Yield each event, and None for each sign of life between them.

    An event that is cut off in the middle never happened; it comes again after resuming.

    :param chunks: the body, cut anywhere.
    :raises NoStream: when the data of an event is no JSON object, or has no end.
    """
    event, last_id, data = "", "", list[str]()
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
            elif name == "id" and "\0" not in value:
                last_id = value
        else:
            if data:
                yield Happened(event or "message", last_id, _object("\n".join(data)))
            event, data = "", []


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    # Not what splits lines of text elsewhere: JSON may hold U+2028, which ends no line here.
    begun: list[bytes] = []
    held = b""
    for chunk in chunks:
        # A CR at the end may be half of a CRLF.
        whole = held + chunk
        held = whole[-1:] if whole.endswith(b"\r") else b""
        first, *others = _LINE_END.split(whole.removesuffix(b"\r"))
        begun.append(first)
        for line in others:
            yield b"".join(begun).decode("utf-8", "replace")
            begun = [line]
        if sum(map(len, begun)) > _LARGEST_LINE_BYTES:
            raise NoStream("an event has no end")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoStream("the data of an event is no JSON object")
    return found
