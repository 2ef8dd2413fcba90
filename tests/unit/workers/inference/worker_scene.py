"""A Hoard in memory with one worker, whose engine draws patterns and fails as it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from PIL import Image

from domain.accounts.account import ANONYMOUS_ID
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.jobs.job import Job
from domain.requests.request import Request
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Requirements
from domain.workers.worker import Worker
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import load_settings
from tests.prepared import assembled
from tests.world import ManualClock
from workers.engines.protocol import (
    Abilities,
    Batch,
    BatchResult,
    EngineAway,
    EngineImage,
    Progress,
)
from workers.inference.task import work_until_idle
from workers.inference.workplace import InClusterWorker, SafeAmount, Workplace

Event = TypeVar("Event")

PROMPT = "my secret garden"
STEPS = 4


def _nothing(_batch: Batch, _step: int) -> None:
    return None


def picture_of(seed: int, place: int, size: int) -> Image.Image:
    """One colour for each image, but for a corner that is rounded otherwise in another batch."""
    picture = Image.new("RGB", (64, 64), (seed % 256, seed // 256 % 256, place))
    picture.putpixel((63, 63), (0, 0, size))
    return picture


@dataclass
class PatternEngine:
    """Images that say which they are; ``during`` is called after each step of each batch."""

    during: Callable[[Batch, int], None] = _nothing
    leaves_out: frozenset[int] = frozenset()
    is_away: Callable[[], bool] = lambda: False
    batches: list[Batch] = field(default_factory=list)
    steps_run: int = 0
    asked: int = 0
    device: str = "cpu test"
    name: str = "pattern"
    loaded_model: str | None = "Pattern"

    def abilities(self) -> Abilities:
        self.asked += 1
        if self.is_away():
            raise EngineAway("the engine does not answer")
        return Abilities(models=("Pattern",), img2img=True, features=("hires_fix", "replication"))

    def generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        self.batches.append(batch)
        for step in range(1, batch.settings.steps + 1):
            self.steps_run += 1
            self.during(batch, step)
            on_progress(Progress(step, batch.settings.steps))
        return BatchResult(
            images=tuple(
                EngineImage(image_id, place, picture_of(batch.seed, place, batch.size))
                for image_id, place in zip(batch.image_ids, batch.indices, strict=True)
                if place not in self.leaves_out
            ),
            engine="pattern 1",
            device=self.device,
            model_sha256="ab" * 32,
        )

    def close(self) -> None:
        return None


@dataclass
class Stop:
    asked: bool = False
    due: bool = False

    def is_requested(self) -> bool:
        return self.asked

    def is_due(self) -> bool:
        return self.due


@dataclass
class Scene:
    """A whole Hoard in memory, and one worker in it."""

    hoard: Hoard
    clock: ManualClock
    engine: PatternEngine = field(default_factory=PatternEngine)
    stop: Stop = field(default_factory=Stop)
    wakeups: int = 0
    pauses: list[float] = field(default_factory=list)
    safe_amount: SafeAmount = field(default_factory=SafeAmount)

    @property
    def worker(self) -> InClusterWorker:
        return InClusterWorker(
            owner_id=self.hoard.operator.account_id,
            name="in-cluster",
            amount=20,
            max_pixels=2048 * 2048,
            agent="test:1:nobody",
        )

    @property
    def workplace(self) -> Workplace:
        return Workplace(
            jobs=self.hoard.ledger.jobs,
            engine=self.engine,
            blobs=self.hoard.storage.blobs,
            presence=self.hoard.views.presence,
            clock=self.clock,
            wake_worker=self.wake_worker,
            is_leased=lambda job_id: self.job(job_id).is_leased,
            shutdown=self.stop,
            pause=self.pauses.append,
            safe_amount=self.safe_amount,
        )

    def wake_worker(self) -> None:
        self.wakeups += 1

    def ask(
        self,
        images: int = 20,
        *,
        size: int = 512,
        source: SourceImages | None = None,
        censor_nsfw: bool = False,
    ) -> UUID:
        command = SubmitRequest(
            Requester(ANONYMOUS_ID),
            RequestSpecification(
                prompt=PROMPT,
                negative_prompt="",
                settings=ImageSettings(size, size, STEPS, "k_euler", 5.0, True, 1),
                source=source,
                censor_nsfw=censor_nsfw,
                requirements=Requirements(
                    models=(),
                    pixels=size * size,
                    nsfw=False,
                    trusted_workers=False,
                    slow_workers=True,
                    extra_slow_workers=False,
                ),
                images=images,
            ),
        )
        return self.hoard.ledger.requests.submit(command)[0]

    def work(self) -> int:
        return work_until_idle(self.worker, self.workplace)

    def request(self, request_id: UUID) -> Request:
        found: Request = self.hoard.ledger.repository.get(request_id)
        return found

    def job(self, job_id: UUID) -> Job:
        found: Job = self.hoard.ledger.repository.get(job_id)
        return found

    def jobs(self) -> list[Job]:
        return [self.job(batch.job_id) for batch in self.engine.batches]

    def events(self, kind: type[Event]) -> list[Event]:
        records = self.hoard.storage.log.after(0, 10_000)
        return [each.event for each in records if isinstance(each.event, kind)]

    def failures(self) -> list[str]:
        return [event.reason for event in self.events(Job.Failed)]

    def amounts(self) -> list[int]:
        """What was declared, from the second declaration on."""
        return [event.capabilities.amount for event in self.events(Worker.CapabilitiesDeclared)]


def scene_in(folder: Path) -> Scene:
    """Assemble a Hoard in memory with one worker."""
    clock = ManualClock()
    settings = load_settings(data=folder, ledger_url="sqlite://", views_url="sqlite://")
    return Scene(assembled(settings, clock=clock), clock)
