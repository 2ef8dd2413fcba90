"""A process that hears wake-ups, for tests: it writes down what it heard.

``python -m tests.integration.tracking.wakeups_process FOLDER BROKER_URL``
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from uuid import UUID

from infrastructure.wakeups.broadcast import ProcessWakeups
from infrastructure.wakeups.redis_channels import RedisChannels


class Lines:
    """Writes a line for each thing heard."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)

    def changed(self) -> None:
        """Note a change."""
        print("changed", file=self._file)

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Note a step."""
        print(f"{job_id} {step}/{steps}", file=self._file)


def main() -> None:
    """Listen until SIGTERM."""
    folder, broker_url = Path(sys.argv[1]), sys.argv[2]
    stop = threading.Event()
    wakeups = ProcessWakeups(RedisChannels(broker_url))
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    wakeups.listen(Lines(folder / "heard"))
    while not stop.wait(0.1):
        pass
    wakeups.close()


if __name__ == "__main__":
    main()
