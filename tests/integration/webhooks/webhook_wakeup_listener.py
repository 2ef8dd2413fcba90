"""A sender of webhooks of which only the ears are there: it notes in a file that it was woken.

``python -m tests.integration.webhooks.webhook_wakeup_listener BROKER_URL FILE``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infrastructure.logs.configuration import configure_logs
from infrastructure.processes.webhooks import hear_wakeups
from workers.broker.app import make_app, register_sending


def main() -> None:
    """Listen until SIGTERM."""
    configure_logs("INFO", json=True)
    broker_url, file = sys.argv[1], Path(sys.argv[2])

    def wake() -> None:
        with file.open("a") as lines:
            lines.write("woken\n")

    app = make_app(broker_url)
    register_sending(app, wake)
    hear_wakeups(app)


if __name__ == "__main__":
    main()
