from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrastructure.processes.child_processes import (
    Child,
    Folders,
    Program,
    kill_orphans,
    open_log,
)
from infrastructure.processes.pid_files import kill_orphan, process_identity, write_process_file
from infrastructure.processes.supervisor import FolderBusy, locked
from tests.waiting import wait_until

NewChild = Callable[..., Child]

SLEEPS = "import time; time.sleep(600)"
IGNORES_SIGTERM = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(600)"
)


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(run=tmp_path / "run", logs=tmp_path / "logs")


@pytest.fixture
def new_child(folders: Folders) -> Iterator[NewChild]:
    made: list[Child] = []

    def make(script: str, stop_timeout_seconds: float = 30.0) -> Child:
        command = (sys.executable, "-I", "-c", script)
        made.append(
            Child(Program("child", command, stop_timeout_seconds=stop_timeout_seconds), folders)
        )
        return made[-1]

    yield make
    for child in made:
        child.kill()


def wait_for_end(child: Child, now: float) -> None:
    """Wait until a child was seen to have ended at a moment of its own time."""

    def has_ended() -> bool:
        child.ensure_running(now)
        return not child.is_running

    wait_until(has_ended, "the child to end")


def pid_in(folders: Folders) -> int:
    return int((folders.run / "child.pid").read_text().split()[0])


def test_a_child_that_ends_is_started_again_after_a_growing_pause(
    new_child: NewChild, folders: Folders
) -> None:
    child = new_child("raise SystemExit(3)")
    now, pauses = 0.0, []
    for _ in range(8):
        child.ensure_running(now)
        wait_for_end(child, now)
        pause = 0.0
        while not child.is_running:
            pause += 0.05
            child.ensure_running(now + pause)
        pauses.append(round(pause, 1))
        now += pause
    assert pauses[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6], abs=0.11)
    assert max(pauses) <= 10.1


def test_what_a_child_left_running_in_its_group_is_ended_with_it(
    new_child: NewChild, folders: Folders, tmp_path: Path
) -> None:
    note = tmp_path / "grandchild"
    child = new_child(
        f"import os, sys, time\nif os.fork() == 0:\n    open({str(note)!r}, 'w')"
        ".write(str(os.getpid()))\n    time.sleep(600)\n"
        f"while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read():"
        " time.sleep(0.01)"
    )
    child.ensure_running(0.0)
    wait_for_end(child, 0.0)
    grandchild = int(note.read_text())
    wait_until(lambda: process_identity(grandchild) is None, "the grandchild to end")


def test_a_child_that_does_not_stop_in_time_is_killed(
    new_child: NewChild, folders: Folders
) -> None:
    child = new_child(IGNORES_SIGTERM, stop_timeout_seconds=5.0)
    child.ensure_running(0.0)
    assert folders.logs is not None
    log = folders.logs / "child.log"
    wait_until(lambda: b"ready" in log.read_bytes(), "the child to be ready")
    pid = pid_in(folders)

    child.terminate(0.0)
    assert not child.has_stopped(4.9)
    assert child.has_stopped(5.0)

    assert process_identity(pid) is None
    assert list(folders.run.iterdir()) == []


def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    supervisor = os.fork()
    if supervisor == 0:
        try:
            program = Program("child", (sys.executable, "-I", "-c", SLEEPS))
            Child(program, Folders(run=tmp_path, logs=tmp_path)).ensure_running(0.0)
            signal.pause()
        finally:
            os._exit(1)
    note = tmp_path / "child.pid"
    wait_until(lambda: note.exists() and note.read_text(), "the child to note its pid")
    pid = int((tmp_path / "child.pid").read_text().split()[0])
    wait_until(lambda: b"time.sleep" in command_of(pid).split(b"\0")[-2], "the child to sleep")
    wait_until(lambda: b"launch.py" not in command_of(pid), "the launcher to give way")

    os.kill(supervisor, signal.SIGKILL)
    os.waitpid(supervisor, 0)

    wait_until(lambda: process_identity(pid) is None, "the child to end")


def test_a_leftover_is_ended_and_a_process_that_took_its_number_is_not(
    new_child: NewChild, folders: Folders
) -> None:
    child = new_child(SLEEPS)
    child.ensure_running(0.0)
    pid = pid_in(folders)
    path = folders.run / "former.pid"

    path.write_text(f"{pid}\nanother boot 12345\n")
    assert not kill_orphan(path)
    assert process_identity(pid) is not None
    assert not path.exists()

    write_process_file(path, pid)
    assert kill_orphan(path)
    assert process_identity(pid) is None


@pytest.mark.parametrize("text", ["", "nonsense", "12"])
def test_a_process_file_that_was_written_halfway_is_taken_away(tmp_path: Path, text: str) -> None:
    (tmp_path / "half.pid").write_text(text)
    (tmp_path / "half.ready").write_text(text)

    assert kill_orphans(tmp_path) == 0

    assert list(tmp_path.iterdir()) == []


def test_a_child_is_ready_only_when_the_present_process_says_so(
    new_child: NewChild, folders: Folders
) -> None:
    child = new_child(SLEEPS)
    child.ensure_running(0.0)
    ready = folders.run / "child.ready"
    assert not child.reports_ready

    ready.write_text("1\n")
    assert not child.reports_ready
    ready.write_text(f"{pid_in(folders)}\n")
    assert child.reports_ready


def test_a_large_log_is_put_aside_and_three_are_kept(tmp_path: Path) -> None:
    for number in range(6):
        with open_log(tmp_path, "api", largest=5) as log:
            log.write(f"run {number}".encode())
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {
        "api.log": "run 5",
        "api.log.1": "run 4",
        "api.log.2": "run 3",
        "api.log.3": "run 2",
    }


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    busy = pytest.raises(FolderBusy, match=rf"process {os.getpid()}")
    with locked(tmp_path), busy, locked(tmp_path):
        pytest.fail("held twice")
    with locked(tmp_path):
        assert (tmp_path / "hoard.lock").exists()
