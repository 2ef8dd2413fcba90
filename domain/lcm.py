"""Latent consistency models (Luo et al. 2023): good images in about a tenth of the steps."""

from __future__ import annotations

from domain.image_settings import ImageSettings
from domain.loras import is_lcm_lora

LCM_SAMPLER = "lcm"

MOST_LCM_STEPS = 10
"""Steps beyond which an LCM gains nothing: 4 to 8 are usual."""

HIGHEST_LCM_CFG_SCALE = 2.0
"""Guidance beyond which an LCM burns its colours: it was distilled with the guidance built in."""


def uses_lcm(settings: ImageSettings) -> bool:
    """Whether an image is made by an LCM: the sampler says so, or a LoRA known to make it one."""
    return settings.sampler == LCM_SAMPLER or any(map(is_lcm_lora, settings.loras))
