"""A remote worker in this thread, and the Hoard that it serves behind a real HTTP server."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from socket import create_server
from typing import Any
from uuid import UUID

import httpx
from PIL import Image

from domain.workers.matching import Capabilities
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from infrastructure.models.catalogue import ModelCatalogue
from infrastructure.outbound.guard import Outbound
from infrastructure.processes.remote_worker import BRIDGE_AGENT
from infrastructure.system import SystemClock, SystemRandomSource
from tests.compatibility.server import Server as Hoard
from tests.compatibility.server import serving
from workers.engines.protocol import Abilities, Batch, BatchResult, Engine, Progress
from workers.inference.task import work_until_idle
from workers.inference.workplace import InClusterWorker, Workplace
from workers.remote.images import JobImages
from workers.remote.jobs import UNKNOWN_ID, RemoteJobs
from workers.remote.server import Server

WORKER = "A remote worker"
SEED = 7


class Elsewhere:
    """Somebody else's Hoard, on one port of the loopback address, that can go and come back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._port = 0
        self.start()

    def start(self) -> None:
        """Serve the folder."""
        listening = self._running.enter_context(create_server(("127.0.0.1", self._port)))
        self._port = listening.getsockname()[1]
        self.hoard: Hoard = self._running.enter_context(serving(self._folder, listening, self.url))

    def stop(self) -> None:
        """Serve nothing; the port refuses connections."""
        self._running.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def ask(self, images: int = 4, *, r2: bool = True, params: Any = None, **fields: Any) -> str:
        """Ask for images, as anybody may; return the request's id."""
        body = {
            "prompt": "a red circle on a blue background ### text",
            "r2": r2,
            "params": {
                "n": images,
                "width": 64,
                "height": 64,
                "steps": 2,
                "sampler_name": "k_euler",
                "cfg_scale": 1,
                "seed": str(SEED),
                **(params or {}),
            },
            **fields,
        }
        answer = self.hoard.call("POST", "/generate/async", ANONYMOUS_KEY, json=body)
        return str(answer["id"])

    def check(self, request_id: str) -> Any:
        """Where a request stands."""
        return self.hoard.call("GET", f"/generate/check/{request_id}")

    def status(self, request_id: str) -> Any:
        """Where a request stands, with its images."""
        return self.hoard.call("GET", f"/generate/status/{request_id}")

    def cancel(self, request_id: str) -> None:
        """End a request."""
        self.hoard.call("DELETE", f"/generate/status/{request_id}")

    def files(self, request_id: str) -> list[bytes]:
        """The images of a request, in the order of their places in their batch."""
        generations = sorted(
            self.status(request_id)["generations"], key=lambda made: batch_index_of(made) or 0
        )
        return [_file(made["img"]) for made in generations]

    def uploads(self) -> list[str]:
        """The addresses to which something was brought."""
        return [path for method, path in self.hoard.noted.calls if method == "PUT"]


def batch_index_of(generation: Any) -> int | None:
    """Return what an image's metadata says of its place in its batch."""
    places = [word["ref"] for word in generation["gen_metadata"] if word["type"] == "batch_index"]
    assert len(places) <= 1, generation
    return int(places[0]) if places else None


def _file(img: str) -> bytes:
    if img.startswith("http"):
        return httpx.get(img).raise_for_status().content
    return base64.b64decode(img, validate=True)


def opened(file: bytes) -> Image.Image:
    """Return a file's picture."""
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.format == "WEBP"
        return picture.convert("RGB")


class WithoutUploads(httpx.BaseTransport):
    """The way to a server that has no object store: it names no upload addresses."""

    def __init__(self) -> None:
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._real.handle_request(request)
        if not request.url.path.endswith("/generate/pop"):
            return answer
        fields = json.loads(answer.read())
        kept = {name: fields[name] for name in fields if not name.startswith("r2_upload")}
        answer.close()
        return httpx.Response(answer.status_code, json=kept)

    def close(self) -> None:
        self._real.close()


@dataclass
class ShiftedClock:
    """The machine's clock, put forward by hand."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@dataclass
class Watched:
    """An engine, and what a test does at each step and when a batch is made."""

    engine: Engine
    on_step: Callable[[], None] = lambda: None
    on_made: Callable[[], None] = lambda: None
    batches: list[Batch] = field(default_factory=list)
    steps: int = 0

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def loaded_model(self) -> str | None:
        return self.engine.loaded_model

    def abilities(self) -> Abilities:
        return self.engine.abilities()

    def generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        self.batches.append(batch)

        def stepped(progress: Progress) -> None:
            self.steps += 1
            self.on_step()
            on_progress(progress)

        made = self.engine.generate(batch, stepped)
        self.on_made()
        return made

    def close(self) -> None:
        self.engine.close()


class _Unseen:
    def seen(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Nobody looks."""


@dataclass
class Remote:
    """The worker."""

    server: Server
    jobs: RemoteJobs
    worker: InClusterWorker
    workplace: Workplace

    def work(self) -> int:
        """Do what there is to be done; return the number of jobs."""
        return work_until_idle(self.worker, self.workplace)


@contextmanager
def remote(
    url: str,
    key: str,
    engine: Engine,
    folder: Path,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: ShiftedClock | None = None,
    pause: Callable[[float], None] = lambda _seconds: None,
    agent: str = BRIDGE_AGENT,
) -> Iterator[Remote]:
    """A worker of the account with this key."""
    clock = clock or ShiftedClock()
    outbound = Outbound()
    job_images = JobImages()
    with Server(url, key, agent=agent, transport=transport) as server:
        jobs = RemoteJobs(
            server,
            outbound,
            job_images,
            models=ModelCatalogue.in_folder(folder),
            clock=clock,
            random_source=SystemRandomSource(),
        )
        workplace = Workplace(
            jobs=jobs,
            engine=engine,
            blobs=job_images,
            presence=_Unseen(),
            clock=clock,
            wake_worker=lambda: None,
            is_leased=jobs.is_leased,
            pause=pause,
        )
        worker = InClusterWorker(UNKNOWN_ID, WORKER, 20, 2048 * 2048, agent)
        try:
            yield Remote(server, jobs, worker, workplace)
        finally:
            outbound.close()
