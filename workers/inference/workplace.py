"""All that a worker works with: who it is, the ledger as it sees it, its engine and its clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import Provenance
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.ports import Clock
from domain.workers.matching import Capabilities
from workers.engines.protocol import Abilities, Engine
from workers.inference.safety import Inspector

_log = structlog.get_logger(__name__)

PRESENCE_SECONDS = 60.0
"""How often an idle worker shows itself; one not seen for five minutes counts as gone."""


class SafeAmount:
    """What a worker may declare after its device ran out of memory; for one thread.

    It only ever falls, by half each time, and a new process starts without it: what has filled the
    memory may be gone by then, and trying again and again while it works would cost whole batches.
    """

    def __init__(self) -> None:
        """Nothing went wrong yet."""
        self._most: int | None = None

    def of(self, amount: int) -> int:
        """Return how many images to declare, of the ``amount`` that was set up, 1 or more."""
        return amount if self._most is None else min(amount, self._most)

    def lower(self, amount: int, images: int) -> int | None:
        """Note that a batch did not fit; return what is declared from now on, None if no less.

        A single image that does not fit, or a batch that is larger than what was declared, says
        nothing about the amount.

        :param amount: images per batch that the worker was set up for.
        :param images: how many the batch had.
        """
        declared = self.of(amount)
        if not 1 < images <= declared:
            return None
        self._most = declared // 2
        return self._most


class Jobs(Protocol):
    """The ledger as a worker sees it; a program that serves another server's plugs in here."""

    def pop(self, command: PopJob) -> PoppedJob | NoJob:
        """Return the best slice for this worker, leased to it."""

    def renew_lease(self, job_id: UUID, *, owner_id: UUID) -> datetime:
        """Give a job that makes progress more time; return when its lease ends now."""

    def record_progress(self, job_id: UUID, *, owner_id: UUID, step: int, steps: int) -> None:
        """Note that ``step`` of all ``steps`` are done, for watchers of the job."""

    def submit_image(
        self,
        image_id: UUID,
        *,
        owner_id: UUID,
        digest: str,
        seed: int,
        state: ImageState,
        metadata: tuple[GenerationMetadata, ...] = (),
        provenance: Provenance | None = None,
    ) -> float:
        """Take one finished image and return the reward."""

    def fault_image(self, image_id: UUID, *, owner_id: UUID) -> None:
        """Note that one image could not be made."""

    def fail(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Fault the images of a job that were not submitted, and end it."""


class Blobs(Protocol):
    """Where images are kept by their SHA-256."""

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their digest; twice is no harm."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there are none, or they are no longer what they were.
        """


class Presence(Protocol):
    """Where a worker shows that it lives."""

    def seen(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Note that it is here now; cheap, however often it is called."""


class Shutdown(Protocol):
    """How a worker learns that its process should end."""

    def is_requested(self) -> bool:
        """Whether no further job should be started."""

    def is_due(self) -> bool:
        """Whether the job at hand has to be faulted, too."""


class _NoShutdown:
    def is_requested(self) -> bool:
        return False

    def is_due(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class InClusterWorker:
    """Who asks for work: one process of this installation."""

    owner_id: UUID
    """The account that in-cluster workers belong to."""
    name: str
    """Unique among all workers, 1 to 100 characters."""
    amount: int
    """Images per batch, 1 to 20."""
    max_pixels: int
    """Pixels of the largest image that it makes."""
    agent: str
    """Name, version and contact of its software, ``name:version:url``."""

    def capabilities(self, abilities: Abilities, amount: int | None = None) -> Capabilities:
        """Return what it declares with an engine of these abilities, for the server.

        :param amount: images per batch, where that is fewer than it was set up for.
        """
        return Capabilities(
            models=tuple(sorted(abilities.models)),
            amount=self.amount if amount is None else amount,
            max_pixels=self.max_pixels,
            nsfw=True,
            threads=1,
            extra_slow=False,
            bridge_agent=self.agent,
            unsafe_ip=True,
            img2img=abilities.img2img,
            painting=abilities.painting,
            lora=abilities.lora,
            controlnet=abilities.controlnet,
            sdxl_controlnet=abilities.sdxl_controlnet,
            post_processing=abilities.post_processing,
            features=abilities.features,
        )


@dataclass(frozen=True, slots=True)
class Workplace:
    """All that a worker works with."""

    jobs: Jobs
    engine: Engine
    blobs: Blobs
    presence: Presence
    clock: Clock
    wake_worker: Callable[[], None]
    """Wakes another worker; returns at once."""
    is_leased: Callable[[UUID], bool]
    """Whether results of a job are still taken; one small read."""
    publish_progress: Callable[[UUID, int, int], None] = lambda _job_id, _step, _steps: None
    """Shows a job's step, of how many, to its watchers; returns at once and never fails."""
    is_slow: Callable[[str], bool] = lambda _name: False
    """Whether a worker of this name was measured as slow."""
    shutdown: Shutdown = field(default_factory=_NoShutdown)
    time_limit: Callable[[Callable[[], datetime]], AbstractContextManager[object]] = (
        lambda _: nullcontext()
    )
    """Ends this process if the block is not left by the moment that the function returns, which may
    move on meanwhile."""
    pause: Callable[[float], None] = time.sleep
    """Waits a number of seconds before the next attempt at something that failed."""
    safe_amount: SafeAmount = field(default_factory=SafeAmount)
    """What was learnt of the engine's memory, for as long as the process lives."""
    inspector: Inspector | None = None
    """Looks at every picture before it is submitted; None: no check."""
    provenance: bool = True
    """Whether files say of themselves how they were made."""

    def note_presence(self, worker_id: UUID, capabilities: Capabilities) -> None:
        """Record that the worker is present; a failure of that is no reason to stop."""
        try:
            self.presence.seen(worker_id, capabilities)
        except Exception as error:
            _log.warning("presence not noted", error=type(error).__name__)


def report_presence(
    report: Callable[[], None], every_seconds: float = PRESENCE_SECONDS
) -> threading.Event:
    """Call ``report`` at once and then every so often, in a thread of its own.

    What it raises is logged, and it is called again all the same.

    :returns: the event that ends it.
    """
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                report()
            except Exception as error:
                _log.warning("presence not noted", error=type(error).__name__)
            stop.wait(every_seconds)

    threading.Thread(target=run, name="attendance", daemon=True).start()
    return stop
