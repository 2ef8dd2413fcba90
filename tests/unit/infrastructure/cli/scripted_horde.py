"""Somebody else's server, as commands meet it: a few scripted answers on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image

ID = "8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e"


def webp(colour: tuple[int, int, int]) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, format="WEBP")
    return file.getvalue()


@dataclass
class Horde:
    """A server that has ``finished`` of its images ready from the start."""

    url: str = ""
    images: int = 3
    finished: int = 3
    remarks: list[dict[str, Any]] = field(default_factory=list)
    """What is said of each image beside its place in the batch."""
    done: bool = True
    refusal: dict[str, Any] | None = None
    seen: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)
    checked: threading.Event = field(default_factory=threading.Event)

    @property
    def counts(self) -> dict[str, Any]:
        return {
            "finished": self.finished,
            "processing": 0,
            "waiting": self.images - self.finished,
            "restarted": 0,
            "done": self.done,
            "faulted": False,
            "wait_time": 1,
            "queue_position": 1,
            "kudos": 1.5,
            "is_possible": True,
        }

    @property
    def generations(self) -> list[dict[str, Any]]:
        return [
            {
                "img": f"{self.url}/images/{number}",
                "seed": "7",
                "id": f"image-{number}",
                "censored": False,
                "worker_id": "w",
                "worker_name": "worker",
                "model": "scenes",
                "state": "ok",
                "gen_metadata": [
                    {"type": "batch_index", "value": "see_ref", "ref": str(number)},
                    *self.remarks,
                ],
            }
            for number in range(self.finished)
        ]

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        if path.startswith("/images/"):
            return 200, webp((int(path[-1]) * 80, 0, 0))
        if method == "POST":
            if self.refusal is not None:
                return 400, json.dumps(self.refusal).encode()
            warnings = [{"code": "StepsTooFew", "message": "Few steps."}]
            return 202, json.dumps({"id": ID, "kudos": 1.5, "warnings": warnings}).encode()
        if "/check/" in path:
            self.checked.set()
            return 200, json.dumps(self.counts).encode()
        return 200, json.dumps(self.counts | {"generations": self.generations}).encode()


@contextmanager
def serving(scripted: Horde) -> Iterator[Horde]:
    """Let it answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            scripted.seen.append(
                (
                    self.command,
                    self.path,
                    json.loads(body) if body else {},
                    self.headers.get("apikey", ""),
                )
            )
            status, content = scripted.answer(self.command, self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
