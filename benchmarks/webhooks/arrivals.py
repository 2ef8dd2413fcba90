"""From the submit of an image to its arrival at a receiver, one image after the other."""

from __future__ import annotations

import base64
import io
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from benchmarks.http_client import Connection
from benchmarks.running import free_port

SECONDS_TO_ARRIVE = 60.0
"""An image that has not arrived by then counts as lost."""

_MODEL = "Bench"


class Receiver:
    """The receiver's process, as it is seen from here."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.held = 0
        """Requests that wait for an answer, or did until their sender gave up."""
        self._arrivals: queue.Queue[tuple[str, float]] = queue.Queue()
        self._process = process
        self._is_ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_until_ready(self) -> None:
        """Return once it listens."""
        if not self._is_ready.wait(SECONDS_TO_ARRIVE):
            raise TimeoutError("the receiver did not start")

    def arrival_of(self, image_id: str) -> float | None:
        """Return when an image arrived, by the monotonic clock; None if it does not."""
        deadline = time.monotonic() + SECONDS_TO_ARRIVE
        while (left := deadline - time.monotonic()) > 0:
            try:
                arrived, at = self._arrivals.get(timeout=left)
            except queue.Empty:
                break
            if arrived == image_id:
                return at
        return None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            match line.split():
                case ["ready"]:
                    self._is_ready.set()
                case ["held"]:
                    self.held += 1
                case [image_id, at]:
                    self._arrivals.put((image_id, float(at)))


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver in a process of its own until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.webhooks.receiver", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            receiver = Receiver(port, process)
            receiver.wait_until_ready()
            yield receiver
        finally:
            process.terminate()


@dataclass
class Arrivals:
    """How long images took from the answer to their submit until they arrived."""

    lost: int = 0
    seconds: list[float] = field(default_factory=list)


class Provenance:
    """Somebody who asks for images and makes them at once."""

    def __init__(self, connection: Connection, key: str, worker_key: str) -> None:
        """Use one connection.

        :param key: whose account asks.
        :param worker_key: whose account runs the worker.
        """
        self._connection = connection
        self._key = key
        self._worker_key = worker_key
        self._made = 0

    async def measured(self, images: int, receiver: Receiver) -> Arrivals:
        """Make images one after the other, each once the one before it has arrived."""
        arrivals = Arrivals()
        for _ in range(images):
            image_id = await self.image(f"{receiver.url}/hook")
            done_at = time.monotonic()
            arrived_at = receiver.arrival_of(image_id)
            if arrived_at is None:
                arrivals.lost += 1
            else:
                # It may arrive before the submit's own answer does.
                arrivals.seconds.append(max(0.0, arrived_at - done_at))
        return arrivals

    async def image(self, webhook: str) -> str:
        """Ask for one image and make it; return its id once the submit is answered."""
        asked = await self._call(
            "async", self._key, prompt="a red circle", models=[_MODEL], webhook=webhook
        )
        popped = await self._call(
            "pop",
            self._worker_key,
            name="bench worker",
            models=[_MODEL],
            max_pixels=1024 * 1024,
            bridge_agent="benchmark:1:nobody",
        )
        assert asked["id"], asked
        (image_id,) = popped["ids"]
        self._made += 1
        await self._call(
            "submit",
            self._worker_key,
            id=image_id,
            generation=_picture(self._made),
            seed=int(popped["payload"]["seed"]),
            state="ok",
        )
        return str(image_id)

    async def _call(self, what: str, key: str, **body: Any) -> Any:
        status, answer = await self._connection.call("POST", f"/api/v2/generate/{what}", body, key)
        assert status in {200, 202}, answer
        return answer


def _picture(number: int) -> str:
    """Return a picture that no other number has, in base64."""
    picture = Image.new("RGB", (512, 512), (number % 256, number // 256 % 256, 128))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", method=0)
    return base64.b64encode(buffer.getvalue()).decode()
