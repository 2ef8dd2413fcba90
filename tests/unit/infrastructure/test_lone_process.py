"""A worker process that nobody supervises: its signals, its limits and its fresh start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from infrastructure.processes.shutdown import SignalShutdown, StopSignals
from infrastructure.processes.time_limits import limited
from infrastructure.system import SystemClock
from tests.paths import ROOT
from workers.inference.lease_watch import Watchdog

COUNTING = """
import pathlib, sys
from infrastructure.processes.time_limits import restart_process

class Shutdown:
    def is_requested(self): return sys.argv[2] == "stopping"
    def is_due(self): return False

file = pathlib.Path(sys.argv[1])
file.write_text(file.read_text() + "started\\n")
if file.read_text().count("started") < 3:
    restart_process(Shutdown())
"""


def test_one_signal_asks_and_a_second_is_due_at_once() -> None:
    with StopSignals() as signals:
        stopping = SignalShutdown(signals, None)
        assert not stopping.is_requested()
        assert not stopping.is_due()
        os.kill(os.getpid(), signal.SIGTERM)
        stopping.wait(60)
        assert stopping.is_requested()
        assert not stopping.is_due()
        os.kill(os.getpid(), signal.SIGINT)
        stopping.wait(60)
        assert stopping.is_due()


def test_its_grace_ends_by_itself() -> None:
    with StopSignals() as signals:
        stopping = SignalShutdown(signals, 0)
        assert not stopping.is_due()
        os.kill(os.getpid(), signal.SIGTERM)
        stopping.wait(60)
        assert stopping.is_due()


def test_a_block_whose_time_is_up_is_interrupted_in_the_main_thread() -> None:
    clock = SystemClock()
    before = signal.getsignal(signal.SIGUSR1)
    with (
        pytest.raises(SoftTimeLimitExceeded),
        limited(Watchdog(clock))(lambda: clock.now() - timedelta(seconds=1)),
    ):
        time.sleep(60)
    assert signal.getsignal(signal.SIGUSR1) is before


@pytest.mark.parametrize(
    ("mood", "status", "starts"), [("working", 0, 3), ("stopping", -signal.SIGKILL, 1)]
)
def test_a_process_starts_anew_with_its_own_command(
    tmp_path: Path, mood: str, status: int, starts: int
) -> None:
    file = tmp_path / "starts"
    file.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(file), mood], cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == status
    assert file.read_text().count("started") == starts
