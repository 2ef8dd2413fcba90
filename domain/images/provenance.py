"""How an image was made: what has to be the same for it to be made again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoraIdentity:
    """The very file of a LoRA that was loaded."""

    version_id: str
    """CivitAI's id of the version, digits; for another file, its name."""
    sha256: str
    """SHA-256 of the file, 64 lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The circumstances under which a worker made one image."""

    engine: str
    """Its name and version, such as ``ComfyUI 0.3.75``."""
    device: str
    """What it ran on, such as ``cuda NVIDIA H100`` or ``cpu x86_64``."""
    model_sha256: str
    """SHA-256 of the model's weights, 64 lower-case hexadecimal digits."""
    batch_size: int
    """How many images went through the model together, 1 to 20."""
    place: int
    """The image's batch index, from 0; its starting noise follows from the job's seed and this
    alone."""
    pixels_sha256: str
    """SHA-256 of its pixels as they came out of the engine, before any file was made of them."""
    loras: tuple[LoraIdentity, ...] = ()

    def is_alike(self, other: Provenance) -> bool:
        """Whether a batch of one size gives the same bits under both."""
        return (self.engine, self.device, self.model_sha256, self.loras) == (
            other.engine,
            other.device,
            other.model_sha256,
            other.loras,
        )
