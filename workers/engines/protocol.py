"""What every engine promises: a batch in, pictures out, progress on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from domain.images.metadata import GenerationMetadata
from domain.images.provenance import LoraIdentity
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing

if TYPE_CHECKING:
    from PIL.Image import Image


class EngineFailed(Exception):
    """The engine could not make the batch; the message says why and is safe to record."""


class EngineAway(EngineFailed):
    """The engine does not answer, or went away in mid-batch; it may come back."""


class OutOfMemory(EngineFailed):
    """The batch did not fit into the device's memory; a smaller one may."""


@dataclass(frozen=True, slots=True)
class Source:
    """The images that a batch starts from, as files (PNG, WebP or JPEG)."""

    processing: SourceProcessing
    image: bytes | None = None
    mask: bytes | None = None
    """White is drawn anew, black stays; None means the image's own alpha."""
    extra: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """One job as an engine sees it: its images share all but their batch indices.

    The starting noise of an image is a function of the seed and its batch index alone, so that one
    can be made again without the rest of its batch.
    """

    job_id: UUID
    image_ids: tuple[UUID, ...]
    """The images that are wanted, in the order of :attr:`indices`."""
    model: str
    prompt: str
    negative_prompt: str
    settings: ImageSettings
    seed: int
    """0 to 2**32 - 1."""
    indices: tuple[int, ...]
    """The batch index of each wanted image, ascending from 0; all of them but for a job that
    makes one image of an earlier batch again."""
    size: int
    """How many images go through the model together. Where it is more than the wanted ones, all
    indices from 0 up to it are run, and what is not wanted is dropped: that is how an image is made
    again bit for bit."""
    source: Source | None = None
    texts: tuple[tuple[str, str], ...] = ()
    """What a workflow draws, each text with what it is referred to by."""

    @property
    def indices_run(self) -> tuple[int, ...]:
        """The batch indices that go through the model."""
        return self.indices if self.size == len(self.indices) else tuple(range(self.size))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the whole batch is: the same step for every image."""

    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class EngineImage:
    """One finished image of a batch, its pixels as they came out of the model."""

    image_id: UUID
    batch_index: int
    """Where it stands in the batch, as :attr:`Batch.indices` says."""
    picture: Image


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A finished batch, and under what circumstances it was made."""

    images: tuple[EngineImage, ...]
    """In the order of :attr:`Batch.image_ids`; one that could not be made is missing."""
    engine: str
    """Name and version of the engine, such as ``diffusers 0.42.1``."""
    device: str
    """What it ran on, such as ``cuda NVIDIA H100`` or ``cpu x86_64``."""
    model_sha256: str
    """SHA-256 of the model's weights, 64 lower-case hexadecimal digits."""
    loras: tuple[LoraIdentity, ...] = ()
    """The LoRA files that were loaded, in the order of the settings."""
    metadata: tuple[GenerationMetadata, ...] = ()
    """What a client should know, such as that a LoRA could not be had."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an engine can serve now; no other job may be given to it."""

    models: tuple[str, ...]
    """Sorted names, as requests know them."""
    img2img: bool = False
    painting: bool = False
    """Inpainting and outpainting."""
    lora: bool = False
    """LoRAs and textual inversions."""
    controlnet: bool = False
    """Every control type of the v2 API, on SD 1.5."""
    sdxl_controlnet: bool = False
    post_processing: bool = False
    """Every post-processor of :attr:`features`, at least one."""
    features: tuple[str, ...] = ()
    """Sorted: features of worker software (:class:`domain.workers.bridges.Feature`) that it has,
    and the v2 names of post-processors."""


class Engine(Protocol):
    """Turns batches into pictures, one batch at a time."""

    @property
    def name(self) -> str:
        """What operators call this kind of engine, for example ``diffusers``."""

    @property
    def loaded_model(self) -> str | None:
        """The model whose weights are in memory, if that is known."""

    def abilities(self) -> Abilities:
        """Return what it can serve now; cheap enough to be called before every job.

        :raises EngineAway: when it does not answer.
        """

    def generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        """Make the batch.

        ``on_progress`` is called after each denoising step; an exception that it raises stops the
        batch and is passed on (that is how a lost lease interrupts work).

        :raises OutOfMemory: when a smaller batch may work.
        :raises EngineAway: when the engine is gone.
        :raises EngineFailed: when the batch cannot be made; no image of it counts.
        """

    def close(self) -> None:
        """Let go of what it holds; it is not used afterwards."""
