"""Samplers: the v2 API's names, ComfyUI's samplers and schedulers, and the nodes that run them.

With hires fix an image is made small first, where a model is at home, and drawn again in full size:
a model makes one subject twice in an image much larger than those it was trained on.

The starting noise of image *i* is slice *i* of what ComfyUI draws from the seed on the CPU, and its
``LatentFromBatch`` keeps that number with the image: so it depends on the seed and *i* alone.
Samplers that draw noise in every step as well draw it for the batch as a whole, on the device.
Hoard's own node (``custom_nodes/hoard_noise.py``) makes that, too, a function of the seed and *i*.
Where it is not installed, an image of such a sampler can only be made again with its whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from domain.images.sampling import ADAPTIVE_SAMPLER_STEPS
from domain.images.settings import LCM_SAMPLER, ImageSettings
from domain.models.catalogue import Baseline
from workers.engines.comfyui.graph.nodes import Graph, Output

NOISE_NODE = "HoardPerImageNoise"
"""The class of Hoard's own node."""

SAMPLERS = {
    # ComfyUI's ``ddim`` is its ``euler`` but for masks, outside of which it draws noise anew for
    # the batch as a whole.
    "DDIM": "euler",
    # The multi-step solver of the same family and order.
    "dpmsolver": "uni_pc",
    "k_dpm_2": "dpm_2",
    "k_dpm_2_a": "dpm_2_ancestral",
    # The adaptive one has no most number of steps and chooses them by the error of the whole batch,
    # so that its cost would be unknown, nor one of its images made again alone.
    "k_dpm_adaptive": "dpm_fast",
    "k_dpm_fast": "dpm_fast",
    "k_dpmpp_2m": "dpmpp_2m",
    "k_dpmpp_2s_a": "dpmpp_2s_ancestral",
    "k_dpmpp_sde": "dpmpp_sde",
    "k_euler": "euler",
    "k_euler_a": "euler_ancestral",
    "k_heun": "heun",
    "k_lms": "lms",
    LCM_SAMPLER: "lcm",
}
"""ComfyUI's sampler for each of the v2 API."""

NOISY_SAMPLERS = frozenset({"k_dpm_2_a", "k_dpmpp_2s_a", "k_dpmpp_sde", "k_euler_a", LCM_SAMPLER})
"""Samplers of the v2 API that draw noise in every step."""

HIRES_DENOISE = 0.65
"""How much is drawn anew the second time unless the settings say otherwise: the AI Horde's."""

_SIDE_STEP = 64
_NATIVE_SIDE = {Baseline.SD_2: 768, Baseline.SDXL: 1024}
_USUAL_NATIVE_SIDE = 512


@dataclass(frozen=True, slots=True)
class Guidance:
    """What pulls the noise towards a picture."""

    model: Output
    positive: Output
    negative: Output
    cfg: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a sampler is run."""

    sampler: str
    """ComfyUI's name."""
    scheduler: str
    """ComfyUI's name."""
    seed: int
    """0 to 2**32 - 1."""
    execution: str
    """An id of this very execution. ComfyUI ignores it, but takes the node for another one than
    any that it ran before, so that no earlier result is handed out in its stead."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of a sampler over the whole batch."""

    latent: Output
    """What came out; its node is the one that reports progress."""
    steps: int


def schedule_of(
    settings: ImageSettings, *, family: Baseline, seed: int, execution: str
) -> Schedule:
    """Return how the settings are sampled with a model of this family."""
    return Schedule(
        sampler=SAMPLERS[settings.sampler],
        scheduler=_scheduler(settings, family),
        seed=seed,
        execution=execution,
    )


def _scheduler(settings: ImageSettings, family: Baseline) -> str:
    if settings.sampler == LCM_SAMPLER:
        return "sgm_uniform"
    if family is Baseline.FLUX:
        # Flow-matching models have no noise levels that Karras' formula would fit.
        return "simple"
    if settings.karras:
        return "karras"
    return "normal"


def steps_of(settings: ImageSettings) -> int:
    """Return how many steps are run: as asked for, but for ``k_dpm_adaptive`` what it is priced at.

    It is DPM-Solver's fast form of the same order here, which makes one denoiser pass a step.
    """
    return ADAPTIVE_SAMPLER_STEPS if settings.sampler == "k_dpm_adaptive" else settings.steps


def with_noise_per_image(
    graph: Graph, model: Output, *, seed: int, indices: Sequence[int]
) -> Output:
    """Have the model's samplers draw the noise of their steps for each image by itself.

    :param indices: the batch indices of the images that go through the model.
    """
    return graph.add(NOISE_NODE, model=model, seed=seed, places=",".join(map(str, indices)))


def sample(
    graph: Graph,
    schedule: Schedule,
    guidance: Guidance,
    latent: Output,
    *,
    steps: int,
    denoise: float = 1.0,
) -> Pass:
    """Add one run over the whole batch.

    :param steps: denoising steps, 1 or more.
    :param denoise: how much of the latent is drawn anew, above 0 to 1.
    """
    out = graph.add(
        "KSampler",
        model=guidance.model,
        seed=schedule.seed,
        steps=steps,
        cfg=guidance.cfg,
        sampler_name=schedule.sampler,
        scheduler=schedule.scheduler,
        positive=guidance.positive,
        negative=guidance.negative,
        latent_image=latent,
        denoise=denoise,
        hoard_execution=schedule.execution,
    )
    return Pass(latent=out, steps=steps)


def first_size(width: int, height: int, family: Baseline) -> tuple[int, int] | None:
    """Return the size of the small image; None when the full one is no larger than what is native.

    It has about the native number of pixels and the shape of the full one, its sides multiples
    of 64.
    """
    side = _NATIVE_SIDE.get(family, _USUAL_NATIVE_SIDE)
    if width <= side or height <= side:
        return None
    shrink = side / math.sqrt(width * height)
    small = _rounded(width * shrink), _rounded(height * shrink)
    return None if small[0] >= width or small[1] >= height else small


def second_steps(settings: ImageSettings) -> int:
    """Return the steps of the second run: their share that is drawn anew, 1 at least."""
    return max(1, round(steps_of(settings) * denoise_of(settings)))


def denoise_of(settings: ImageSettings) -> float:
    """Return how much is drawn anew the second time, 0.01 to 1."""
    return settings.hires_fix_denoising_strength or HIRES_DENOISE


def draw_again(
    graph: Graph, schedule: Schedule, guidance: Guidance, small: Output, settings: ImageSettings
) -> Pass:
    """Add the second run, in full size."""
    large = graph.add(
        "LatentUpscale",
        samples=small,
        upscale_method="bislerp",
        width=settings.width,
        height=settings.height,
        crop="disabled",
    )
    return sample(
        graph,
        schedule,
        guidance,
        large,
        steps=second_steps(settings),
        denoise=denoise_of(settings),
    )


def _rounded(pixels: float) -> int:
    return max(_SIDE_STEP, round(pixels / _SIDE_STEP) * _SIDE_STEP)
