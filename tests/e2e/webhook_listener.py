"""A receiver of webhooks that can be killed: ``python -m tests.e2e.webhook_listener PORT FILE``.

It adds the ``webhook-id`` of each as a line to the file before it answers. As long as there is a
file of the same name with ``.hold`` at its end, it does not answer.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.waiting import wait_until


def main() -> None:
    """Serve until killed."""
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    hold = file.with_name(f"{file.name}.hold")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with file.open("a") as lines:
                lines.write(f"{self.headers['webhook-id']}\n")
            wait_until(lambda: not hold.exists(), "leave to answer")
            self.send_response(204)
            self.end_headers()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
