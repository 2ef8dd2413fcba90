"""What every image of a request has in common."""

from __future__ import annotations

from dataclasses import dataclass

from domain.sampling import counted_steps


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The settings of a text-to-image request, the prompt apart (that is personal)."""

    width: int
    """Pixels, 64 to 3072, a multiple of 64."""
    height: int
    """Pixels, 64 to 3072, a multiple of 64."""
    steps: int
    """Denoising steps, 1 to 500."""
    sampler: str
    """One of :data:`domain.sampling.SAMPLERS`."""
    cfg_scale: float
    """Classifier-free guidance, 0 to 100."""
    karras: bool
    """Whether the noise levels follow Karras et al. 2022."""
    clip_skip: int
    """Which layer of the text encoder counts as its last, 1 to 12; 1 is the very last."""

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return self.width * self.height

    @property
    def counted_steps(self) -> int:
        """Denoiser passes of one image."""
        return counted_steps(self.sampler, self.steps)

    @property
    def pixelsteps(self) -> int:
        """The work of one image: denoiser passes times pixels."""
        return self.counted_steps * self.pixels
