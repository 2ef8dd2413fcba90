"""Reading Server-Sent Events, however the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.cli.requests import event_stream
from infrastructure.cli.requests.event_stream import NoStream, StreamEvent, events_in

STREAM = (
    "retry: 10\r\n:\r\n\r\n"
    'id: 7\r\nevent: image\r\ndata: {"model":\r\ndata:  "a\u2028b\x85…"}\r\n\r\n'
    'event:progress\ndata:{"step": 1}\n\n'
    "event: nothing\n\n"
    'id: 9\rdata: {}\r\rdata: {"cut": "off"}\n'
).encode()
EVENTS = [
    None,
    StreamEvent("image", "7", {"model": "a\u2028b\x85…"}),
    StreamEvent("progress", "7", {"step": 1}),
    StreamEvent("message", "9", {}),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]
    assert list(events_in(pieces)) == EVENTS


@pytest.mark.parametrize("data", ["", "[]", "1", "{", "null", '"text"'])
def test_data_that_is_no_object_is_not_understood(data: str) -> None:
    with pytest.raises(NoStream):
        list(events_in([f"data: {data}\n\n".encode()]))


def test_an_event_without_an_end_is_not_read_for_ever() -> None:
    block = bytes(1024 * 1024)
    with pytest.raises(NoStream, match="too large"):
        list(events_in(block for _ in range(1000)))


def test_an_event_of_ever_more_lines_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_LARGEST_EVENT_BYTES", 1000)
    assert next(events_in([b"data: {}\n" + b"data:\n" * 900 + b"\n"])) is not None
    with pytest.raises(NoStream, match="too large"):
        list(events_in(b"data:\n" for _ in range(2000)))
