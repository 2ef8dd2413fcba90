"""A Celery worker for tests: it notes in a file that it was woken, and may die of it.

``python -m tests.integration.tracking.wakeup_listener BROKER_URL FILE [DIES_UNTIL [HANGS]]``: each
task adds a line to the file; up to so many lines, the process that runs the task kills itself
afterwards. As long as there is a file of the same name with ``.hold`` at its end, a task does not
end. The first task hangs beyond its lease where the last argument says how: ``soft``, until it is
interrupted, or ``hard``, whatever interrupts it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from infrastructure.system import SystemClock
from tests.waiting import wait_until
from workers.broker.app import make_app, register_work
from workers.inference.lease_watch import Watchdog


def main() -> None:
    """Serve until SIGTERM."""
    broker_url, name, *rest = sys.argv[1:]
    file, dies_until = Path(name), int(rest[0]) if rest else 0
    hangs = rest[1] if len(rest) > 1 else ""

    def work() -> int:
        with file.open("a") as lines:
            lines.write("woken\n")
        if len(file.read_text().splitlines()) <= dies_until:
            os.kill(os.getpid(), signal.SIGKILL)
        if hangs and len(file.read_text().splitlines()) == 1:
            _hang(file, hard=hangs == "hard")
        hold = file.with_name(f"{file.name}.hold")
        wait_until(lambda: not hold.exists(), "leave to end")
        return 0

    app = make_app(broker_url)
    register_work(app, work)
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            "--concurrency=1",
            "--without-mingle",
            "--without-gossip",
            "--without-heartbeat",
            "--loglevel=INFO",
        ]
    )


def _hang(file: Path, *, hard: bool) -> None:
    """Do as an engine does that never returns, under a lease that is soon over."""
    clock = SystemClock()
    ends_at = clock.now() + timedelta(seconds=1)
    with Watchdog(clock, grace=timedelta(seconds=1)).until(lambda: ends_at):
        try:
            threading.Event().wait()
        except SoftTimeLimitExceeded:
            with file.open("a") as lines:
                lines.write("interrupted\n")
            if hard:
                threading.Event().wait()


if __name__ == "__main__":
    main()
