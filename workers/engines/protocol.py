"""What every engine promises: a batch in, images out, progress on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class EngineFailed(Exception):
    """The engine could not make the batch; the message says why and is safe to record."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One job as an engine sees it: every image shares all settings but its place in the batch.

    The starting noise of image ``i`` is a function of ``(seed, i)`` alone, so that a single image
    can be made again without the rest of its batch.
    """

    job_id: UUID
    image_ids: tuple[UUID, ...]
    model: str
    prompt: str
    negative_prompt: str
    width: int
    """Pixels, a multiple of 64."""
    height: int
    """Pixels, a multiple of 64."""
    steps: int
    """Denoising steps, 1 to 500."""
    cfg_scale: float
    """Classifier-free guidance, 0 to 100; 1 and below means none."""
    sampler: str
    """A v2 sampler name such as ``k_euler_a`` or ``lcm``."""
    karras: bool
    clip_skip: int
    seed: int
    """0 to 2**32 - 1."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the whole batch is: the same step for every image."""

    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class EngineImage:
    """One finished image of a batch, encoded as WebP."""

    image_id: UUID
    batch_index: int
    seed: int
    webp: bytes


class Engine(Protocol):
    """Turns batches into images, one batch at a time."""

    @property
    def name(self) -> str:
        """What the history calls this engine, for example ``diffusers``."""

    @property
    def models(self) -> Sequence[str]:
        """The model names this engine can serve now."""

    def generate(
        self, batch: Batch, on_progress: Callable[[Progress], None]
    ) -> Sequence[EngineImage]:
        """Make every image of the batch, in batch order.

        ``on_progress`` is called after each denoising step; an exception that it raises stops the
        batch and is passed on (that is how a lost lease interrupts work).

        :raises EngineFailed: when the batch cannot be made; no image of it counts.
        """
