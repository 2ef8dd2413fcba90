"""Image settings: what every image of a request has in common."""

from __future__ import annotations

from dataclasses import dataclass

from domain.images.sampling import counted_steps
from domain.models.loras import Lora, TextualInversion, is_lcm_lora


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The settings of a request, the prompt apart (that is personal)."""

    width: int
    """Pixels, 64 to 3072, a multiple of 64."""
    height: int
    """Pixels, 64 to 3072, a multiple of 64."""
    steps: int
    """Denoising steps, 1 to 500."""
    sampler: str
    """One of :data:`domain.images.sampling.SAMPLERS`."""
    cfg_scale: float
    """Classifier-free guidance, 0 to 100."""
    karras: bool
    """Whether the noise levels follow Karras et al. 2022."""
    clip_skip: int
    """Which layer of the text encoder counts as its last, 1 to 12; 1 is the very last."""
    denoising_strength: float | None = None
    """How much of a source image is drawn anew, 0.01 to 1."""
    hires_fix: bool = False
    """Whether the image is made small first and drawn again at its full size."""
    hires_fix_denoising_strength: float | None = None
    """How much of it is drawn anew the second time, 0.01 to 1."""
    tiling: bool = False
    """Whether the image's edges fit together."""
    transparent: bool = False
    """Whether the background stays empty."""
    post_processing: tuple[str, ...] = ()
    """Post-processors by their v2 names, in the order in which they run."""
    facefixer_strength: float | None = None
    """How much face fixers do, 0 to 1."""
    control_type: str | None = None
    """What a ControlNet takes from the source image, one of the v2 names."""
    image_is_control: bool = False
    """Whether the source image is the control map itself."""
    return_control_map: bool = False
    """Whether the control map is wanted instead of an image."""
    loras: tuple[Lora, ...] = ()
    """At most 5."""
    tis: tuple[TextualInversion, ...] = ()
    """At most 20."""
    workflow: str | None = None
    """A workflow that the worker knows by name, such as ``qr_code``."""

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


LCM_SAMPLER = "lcm"

MOST_LCM_STEPS = 10
"""Steps beyond which an LCM gains nothing: 4 to 8 are usual."""

HIGHEST_LCM_CFG_SCALE = 2.0
"""Guidance beyond which an LCM burns its colours: it was distilled with the guidance built in."""


def uses_lcm(settings: ImageSettings) -> bool:
    """Whether an image is made by an LCM: the sampler says so, or a LoRA known to make it one."""
    return settings.sampler == LCM_SAMPLER or any(map(is_lcm_lora, settings.loras))
