"""A Hoard to measure, running as operators run it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from infrastructure.settings.environment import Settings
from tests.waiting import wait_until


@contextmanager
def running_hoard(settings: Settings) -> Iterator[str]:
    """Run ``hoard up`` without workers until the block ends; yields its address."""
    command = [sys.executable, "-m", "infrastructure.cli", "up", "--workers", "0"]
    log = Path(settings.data, "up.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **settings.as_environment()}, stdout=output, stderr=output
        )
        try:
            wait_until(lambda: _answers(settings.base_url, process), "hoard up to answer")
            yield settings.base_url
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError("hoard up ended; see up.log in its data folder")
    try:
        return httpx.get(f"{url}/api/v2/status/heartbeat").is_success
    except httpx.TransportError:
        return False
