"""``hoard worker run``: a worker by itself, beside a server that has none."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import workers
from infrastructure.processes.pid_files import process_identity
from tests.e2e.program import Program, alive, children_of
from tests.paths import ROOT
from tests.waiting import DEADLINE_SECONDS, wait_until

SCENES = Path(workers.__file__).parent / "pipelines" / "scenes"

LONG: dict[str, Any] = {"width": 256, "height": 256, "sampler_name": "k_euler"}


class LoneWorker:
    """The command as an operator types it."""

    def __init__(self, hoard: Program, *options: str, **variables: str) -> None:
        self.log = hoard.data / "lone-worker.log"
        environment = hoard.environment() | variables
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infrastructure.cli", "worker", "run", *options],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def family(self) -> set[tuple[int, str]]:
        pids = [self.process.pid, *children_of(self.process.pid)]
        return {(pid, birth) for pid in pids if (birth := process_identity(pid)) is not None}

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(DEADLINE_SECONDS)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def lone_worker(hoard: Program, *options: str, **variables: str) -> Iterator[LoneWorker]:
    worker = LoneWorker(hoard, *options, **variables)
    try:
        yield worker
    finally:
        family = worker.family
        worker.process.kill()
        worker.process.wait()
        wait_until(lambda: not alive(family), "the worker's processes to be gone")


@pytest.fixture
def hoard(served: Program) -> Program:
    """A server without workers."""
    return served


def test_a_worker_serves_the_folders_it_is_given_and_finishes_its_batch_when_stopped(
    hoard: Program,
) -> None:
    options = ("--model", f"Mine={SCENES}", "--name", "GPU 7", "--gpu", "7", "--amount", "3")
    with lone_worker(hoard, *options) as worker:
        first = hoard.ask(3, models=["Mine"], steps=40, **LONG)
        second = hoard.ask(3, models=["Mine"], **LONG)
        hoard.wait_until_at_work(first)

        worker.send(signal.SIGTERM)

        assert worker.wait() == 0
        status = hoard.status(first)
        assert status["done"]
        assert {image["worker_name"] for image in status["generations"]} == {"GPU 7"}
        assert {image["model"] for image in status["generations"]} == {"Mine"}
        left = hoard.check(second)
        assert (left["waiting"], left["restarted"]) == (3, 0)
        hoard.client.delete(f"/generate/status/{second}")
        assert "red circle" not in worker.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_twice_it_gives_its_batch_back_at_once(
    hoard: Program, number: signal.Signals
) -> None:
    with lone_worker(hoard, "--name", f"twice {number}") as worker:
        request_id = hoard.ask(4, models=["Hoard Scenes"], steps=500, **LONG)
        hoard.wait_until_at_work(request_id)

        worker.send(number)
        # A second signal of a kind that has not been handled yet would be lost.
        wait_until(lambda: "Warm shutdown" in worker.said(), "it to be noticed")
        worker.send(number)

        worker.wait()
        found = hoard.check(request_id)
        assert (found["waiting"], found["restarted"]) == (4, 4)
        hoard.client.delete(f"/generate/status/{request_id}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "/proc"), "no model_index.json"),
        (("--engine", "comfyui"), "needs worker_comfyui_folder"),
        (("--engine", "comfyui", "--comfyui-folder", "/proc"), "no folder “models”"),
        (("--server", "https://example.org"), "--api-key"),
        (("--data", "/proc/nowhere"), "hoard up --workers 0"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    hoard: Program, options: tuple[str, ...], said: str
) -> None:
    with lone_worker(hoard, *options) as worker:
        assert worker.wait() != 0
        assert said in " ".join(worker.said().split())
