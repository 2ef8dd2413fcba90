"""An API process that is told to stop lets its streams go, at once and cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from benchmarks.running import free_port
from infrastructure.settings.environment import Settings
from tests.waiting import DEADLINE_SECONDS, wait_until

STREAMS = 50


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation of its own."""
    return Settings(data=tmp_path / "data", port=free_port())


@pytest.fixture
def process(settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The API alone, without broker, projector or supervisor."""
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "infrastructure.processes", "api"],
            env={**os.environ, **settings.as_environment()},
            stdout=log,
            stderr=log,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def test_streams_end_when_the_process_is_told_to_stop(
    settings: Settings, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        url = f"{settings.base_url}/api/v2"
        limits = httpx.Limits(max_connections=STREAMS + 10)
        client = stack.enter_context(
            httpx.Client(base_url=url, timeout=DEADLINE_SECONDS, limits=limits)
        )
        wait_until(lambda: answers(client), "the API to answer")
        asked = client.post(
            "/generate/async", json={"prompt": "a fox"}, headers={"apikey": "0000000000"}
        )
        request_id = asked.json()["id"]
        bodies = []
        for _ in range(STREAMS):
            response = stack.enter_context(client.stream("GET", f"/generate/events/{request_id}"))
            body = response.iter_raw()
            assert b"event: queued" in next(body)
            bodies.append(body)
        process.send_signal(signal.SIGTERM)
        # Had they been cut off, reading would fail.
        assert [b"".join(body) for body in bodies] == [b""] * STREAMS
        assert process.wait(DEADLINE_SECONDS) in {0, -signal.SIGTERM}
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines
    assert not [line for line in lines if line["level"] not in {"info", "warning"}]


def answers(client: httpx.Client) -> bool:
    """Whether the API is there."""
    try:
        return client.get("/status/heartbeat").is_success
    except httpx.TransportError:
        return False
