"""``hoard worker run --server``: the command, for a Hoard that knows it by its key alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.program import Program, frozen
from tests.e2e.test_worker_run import LONG, lone_worker
from tests.paths import ROOT
from tests.waiting import wait_until

MODEL = "Hoard Scenes"


@pytest.fixture
def hoard(served: Program) -> Program:
    """A server without workers."""
    return served


@pytest.fixture(scope="module")
def key(served_program: Program) -> str:
    """The key of an account there."""
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.cli", "accounts", "create", "gpu", "--json"],
        cwd=ROOT,
        env=served_program.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["api_key"])


def options(hoard: Program) -> tuple[str, ...]:
    return ("--server", f"http://127.0.0.1:{hoard.port}")


def own(folder: Path, key: str) -> dict[str, str]:
    """What the worker is given; it has no part in the server's data folder."""
    return {"HOARD_DATA": str(folder), "HOARD_API_KEY": key}


def test_it_finishes_its_batch_when_stopped_though_the_server_was_killed_meanwhile(
    hoard: Program, key: str, tmp_path: Path
) -> None:
    with lone_worker(hoard, *options(hoard), "--name", "far away", **own(tmp_path, key)) as worker:
        first = hoard.ask(2, models=[MODEL], steps=20, **LONG)
        hoard.wait_until_at_work(first)
        second = hoard.ask(2, models=[MODEL], **LONG)
        with frozen(worker.process.pid):
            hoard.kill()
        worker.send(signal.SIGTERM)
        wait_until(lambda: "submission is retried" in worker.said(), "it to miss the server")
        assert worker.process.poll() is None

        hoard.start()

        assert worker.wait() == 0
        status = hoard.wait_until_done(first)
        assert {image["worker_name"] for image in status["generations"]} == {"far away"}
        assert hoard.check(second)["waiting"] == 2
        hoard.client.delete(f"/generate/status/{second}")
        said = worker.said()
        assert key not in said
        assert "red circle" not in said


def test_asked_to_stop_twice_it_gives_its_batch_back_at_once(
    hoard: Program, key: str, tmp_path: Path
) -> None:
    with lone_worker(hoard, *options(hoard), "--name", "twice", **own(tmp_path, key)) as worker:
        request_id = hoard.ask(4, models=[MODEL], steps=500, **LONG)
        hoard.wait_until_at_work(request_id)

        worker.send(signal.SIGTERM)
        worker.send(signal.SIGINT)

        assert worker.wait() == 0
        found = hoard.check(request_id)
        assert (found["waiting"], found["restarted"]) == (4, 4)
        hoard.client.delete(f"/generate/status/{request_id}")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("x" * 22, "Check --api-key"),
        ("0000000000", "Register an account there"),
        ("schlüssel", "has characters that no key has"),
    ],
)
def test_a_key_that_serves_nothing_is_said_with_what_to_do(
    hoard: Program, key: str, said: str, tmp_path: Path
) -> None:
    with lone_worker(hoard, *options(hoard), **own(tmp_path, key)) as worker:
        assert worker.wait() == 2
        words = " ".join(worker.said().split())
        assert said in words
        assert "x" * 22 not in words


def test_what_is_no_server_is_said(hoard: Program, tmp_path: Path) -> None:
    for server, said in {
        "ftp://example.org": "must start with http:// or https://",
        "https://me:secret@example.org": "name a host",
        f"http://127.0.0.1:{hoard.port}/elsewhere": "Is --server the address",
    }.items():
        with lone_worker(hoard, "--server", server, **own(tmp_path, "x" * 22)) as worker:
            assert worker.wait() == 2
            assert said in " ".join(worker.said().split())
            assert "secret" not in worker.said()
