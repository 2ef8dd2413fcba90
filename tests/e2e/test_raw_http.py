"""What a real process answers to clients that speak HTTP as it was, byte for byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from tests.e2e.program import Program
from tests.waiting import DEADLINE_SECONDS


@contextmanager
def asked(program: Program, *lines: str) -> Iterator[BinaryIO]:
    """Send the lines of a request without a body; what comes back can be read."""
    address = ("127.0.0.1", program.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        with connection.makefile("rb") as answer:
            yield answer


def head_of(answer: BinaryIO) -> dict[str, str]:
    """Read the head of an answer; return its headers, and the status under an empty name."""
    headers = {"": answer.readline().split()[1].decode()}
    while line := answer.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


def test_a_stream_for_http_1_0_comes_as_it_happens_and_unframed(served: Program) -> None:
    request_id = served.ask()
    with asked(served, f"GET /api/v2/generate/events/{request_id} HTTP/1.0") as answer:
        head = head_of(answer)
        assert head[""] == "200"
        assert "transfer-encoding" not in head
        assert "content-length" not in head
        assert head["connection"] == "close"
        first = answer.readline()
        assert first.startswith((b"id: ", b"event: ", b"data: "))
        served.client.delete(f"/generate/status/{request_id}")
        assert b"event: ended\n" in answer.read()


def test_a_sized_answer_for_http_1_0(served: Program) -> None:
    for path in ("/api/v2/status/heartbeat", "/api/v2/openapi.json", "/return-codes", "/nowhere"):
        with asked(served, f"GET {path} HTTP/1.0") as answer:
            head = head_of(answer)
            assert "transfer-encoding" not in head
            assert int(head["content-length"]) == len(answer.read())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_head_of_a_stream_ends(served: Program, version: str) -> None:
    path = f"/api/v2/generate/events/{served.ask()}"
    lines = (f"HEAD {path} HTTP/{version}", "Host: x", "Connection: close")
    with asked(served, *lines) as answer:
        head = head_of(answer)
        assert (head[""], head["content-type"].partition(";")[0]) == ("200", "text/event-stream")
        assert "transfer-encoding" not in head
        assert answer.read() == b""


def test_blanks_behind_a_value_are_no_part_of_it(served: Program) -> None:
    with asked(
        served,
        "GET /api/v2/find_user HTTP/1.1",
        "Host: x",
        "Connection: close",
        "apikey:0000000000\t ",
    ) as answer:
        assert head_of(answer)[""] == "200"
