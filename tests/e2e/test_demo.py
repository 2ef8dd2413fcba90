"""``hoard demo`` from outside: what it shows, what it keeps, and that nothing stays running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from infrastructure.cli.demo.server import ServerProcess, free_port
from infrastructure.cli.terminal.errors import CliError
from infrastructure.processes.supervisor import locked
from tests.waiting import wait_until

DEADLINE_SECONDS = 1200
MOMENT_SECONDS = 120


def hoard(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infrastructure.cli", *arguments]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_on(folder: Path) -> list[int]:
    """The processes that have the folder's path on their command line or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in said and is_running(int(process.name)):
            found.append(int(process.name))
    return found


@contextmanager
def demo_in(folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        child = subprocess.Popen(
            hoard("demo", "--out", str(folder)),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HOARD_LEDGER_URL": "postgresql://somebody@else.test/ledger"},
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_the_demo_makes_twenty_images_in_one_batch_and_proves_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with demo_in(folder, tmp_path / "said") as demo:
        status = demo.wait(DEADLINE_SECONDS)
    said = (tmp_path / "said").read_text()
    assert status == 0, said
    assert "✗" not in said
    for promise in (
        "✓ 20 of 20 images are finished",
        "✓ jobs: 1, batches: 1, of 20 images, for a worker of amount 20 and 4,194,304 pixels",
        "✓ the replayed status is the served one",
        "✓ API, projector, worker and Redis have ended",
        "What to try next",
    ):
        assert promise in said

    pictures = sorted((folder / "images").iterdir())
    assert len(pictures) == 20
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.size == (512, 512)
    assert len({picture.read_bytes() for picture in pictures}) == 20
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width > 5 * 300
    assert processes_on(folder) == []

    history = subprocess.run(
        hoard("events", "--json", "--data", str(folder / "data")),
        capture_output=True,
        text=True,
        check=True,
        timeout=MOMENT_SECONDS,
    )
    types = [json.loads(line)["type"] for line in history.stdout.splitlines()]
    assert types.count("Job.Batched") == 1
    assert types.count("Job.ImageGenerated") == 20


def test_a_demo_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    run = folder / "data" / "run"
    with demo_in(folder, tmp_path / "said") as demo:
        wait_until(lambda: len(list(run.glob("*.pid"))) >= 3, "the server's processes")
        children = [pid for pid in processes_on(folder) if pid != demo.pid]
        assert len(children) >= 3
        demo.kill()
        wait_until(lambda: not any(map(is_running, children)), "their end")
    # Some may have been starting when the children were counted.
    wait_until(lambda: not processes_on(folder), "the end of all others")


def test_a_demo_that_is_interrupted_stops_everything(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    said = tmp_path / "said"
    with demo_in(folder, said) as demo:
        wait_until(lambda: "Requesting" in said.read_text(), "the request")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(MOMENT_SECONDS) == 130
    assert "Traceback" not in said.read_text()
    assert processes_on(folder) == []


def test_a_server_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = ServerProcess(data, free_port(), log=tmp_path / "hoard-up.log")
    with locked(data), server, pytest.raises(CliError, match="ended while it started") as trouble:
        server.wait_until_ready(MOMENT_SECONDS)
    assert "another `hoard up`" in trouble.value.message
