"""A model's record: its waiting work and the images made with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is known of a model."""

    model: str
    waiting_requests: int = 0
    waiting_images: int = 0
    waiting_pixelsteps: int = 0
    """Denoiser passes times pixels of all images that wait."""
    images: int = 0
    """Images made."""
    pixelsteps: int = 0
    """Denoiser passes times pixels of all images made."""
    speed: float | None = None
    """Megapixelsteps a second of one worker, a moving average over jobs; None before the first."""
    seconds_per_image: float | None = None
    """A job's time by its images, a moving average over jobs; None before the first."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for it and nothing was ever made with it."""
        return not (self.waiting_requests or self.images)
