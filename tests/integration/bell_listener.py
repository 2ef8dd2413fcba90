"""A Celery worker for tests: it notes in a file that it was rung for, and may die of it.

``python -m tests.integration.bell_listener BROKER_URL FILE [DIES_UNTIL]``: each task adds a line to
the file; up to so many lines, the process that runs the task kills itself afterwards. As long as
there is a file of the same name with ``.hold`` at its end, a task does not end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.waiting import wait_until
from workers.celery_app import make_app, register_work


def main() -> None:
    """Serve until SIGTERM."""
    broker_url, name, *rest = sys.argv[1:]
    file, dies_until = Path(name), int(rest[0]) if rest else 0

    def work() -> int:
        with file.open("a") as lines:
            lines.write("rung\n")
        if len(file.read_text().splitlines()) <= dies_until:
            os.kill(os.getpid(), signal.SIGKILL)
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


if __name__ == "__main__":
    main()
