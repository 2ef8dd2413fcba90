"""The whole program as its users run it: ``hoard up`` in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from infrastructure.processes.pid_files import process_identity
from tests.paths import ROOT
from tests.waiting import DEADLINE_SECONDS, wait_until


class Program:
    """``hoard up`` on a folder, on a free port of the loopback address."""

    def __init__(self, data: Path, *, workers: int = 1, **settings: object) -> None:
        """Prepare; ``settings`` are ``HOARD_`` variables without their prefix, in lower case.

        One process answers the API unless they say otherwise: each takes seconds to start.
        """
        self.data = data
        self.port = _free_port()
        self.workers = workers
        settings = {"api_processes": 1, **settings}
        self.variables = {f"HOARD_{name.upper()}": str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[str] | None = None
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v2",
            headers={"apikey": "0000000000", "Client-Agent": "tests:1:nobody"},
            timeout=30,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.kill()
        finally:
            self.client.close()

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.process = self.spawn()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Hoard is ready" in line:
                return
        raise AssertionError(f"hoard up ended while it started: {self.trouble()}")

    def spawn(self) -> subprocess.Popen[str]:
        """Start it and wait for nothing."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "up.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "infrastructure.cli", "up"),
                    *("--data", str(self.data), "--port", str(self.port)),
                    *("--workers", str(self.workers)),
                ],
                cwd=ROOT,
                env=_environment() | self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        """Return what a ``hoard`` command needs to work on the same installation."""
        return _environment() | self.variables | {"HOARD_DATA": str(self.data)}

    def stop(self) -> int:
        """Send SIGTERM, wait for the end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """SIGKILL the supervisor alone, and wait until all that it started is gone."""
        if self.process is None:
            return
        family = self.family()
        self.process.kill()
        self._wait()
        wait_until(lambda: not alive(family), "all processes to be gone")

    def _wait(self) -> int:
        assert self.process is not None
        status = self.process.wait(DEADLINE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def trouble(self) -> str:
        """What it and its children logged."""
        logs = [self.data / "up.log", *sorted((self.data / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')}" for path in logs if path.exists()
        )

    def pid(self, child: str) -> int:
        """The process id of a child: ``api``, ``projector``, ``redis`` or ``worker-1``."""
        path = self.data / "run" / f"{child}.pid"
        note = wait_until(lambda: path.exists() and path.read_text(), f"{child} to run")
        return int(str(note).split()[0])

    def pool_process(self, child: str = "worker-1") -> int:
        """The process that runs a worker's batches."""
        return int(wait_until(lambda: children_of(self.pid(child)), f"{child} to have a pool")[0])

    def family(self) -> set[tuple[int, str]]:
        """Every process that descends from it, itself included, told from any other for ever."""
        assert self.process is not None
        found, todo = set(), [self.process.pid]
        while todo:
            pid = todo.pop()
            birth = process_identity(pid)
            if birth is not None:
                found.add((pid, birth))
                todo.extend(children_of(pid))
        return found

    def ask(self, images: int = 2, *, models: Sequence[str] = (), **params: object) -> str:
        """Ask for images; return the request's id."""
        body = {
            "prompt": "a red circle on a blue background",
            "models": list(models),
            "params": {
                "n": images,
                "width": 64,
                "height": 64,
                "steps": 2,
                "sampler_name": "lcm",
                "cfg_scale": 1,
                **params,
            },
        }
        answer = self.client.post("/generate/async", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def check(self, request_id: str) -> dict[str, Any]:
        """Where a request stands."""
        return self._get(f"/generate/check/{request_id}")

    def status(self, request_id: str) -> dict[str, Any]:
        """Where a request stands, with its images."""
        return self._get(f"/generate/status/{request_id}")

    def _get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_until_done(self, request_id: str, seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """Wait until every image is there and return the status."""
        wait_until(lambda: self._quietly_done(request_id), f"request {request_id}", seconds)
        return self.status(request_id)

    def wait_until_at_work(self, request_id: str) -> None:
        """Wait until a worker has a slice of a request."""
        wait_until(lambda: self.check(request_id)["processing"], "a worker to start")

    def _quietly_done(self, request_id: str) -> bool:
        try:
            return bool(self.check(request_id)["done"])
        except httpx.TransportError:
            return False


def alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of the processes that still run."""
    return {(pid, birth) for pid, birth in processes if process_identity(pid) == birth}


def children_of(pid: int) -> list[int]:
    """The processes that a process started."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [
            int(each) for thread in threads for each in (thread / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process in its tracks for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "HOARD_DATA"}
    return inherited | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
