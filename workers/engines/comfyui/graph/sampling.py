"""Samplers: the v2 API's names, ComfyUI's samplers and schedulers, and the nodes that run them.

The starting noise of image *i* is slice *i* of what ComfyUI draws from the seed on the CPU, and its
``LatentFromBatch`` keeps that number with the image: so it depends on the seed and *i* alone.
Samplers that draw noise in every step as well draw it for the batch as a whole, on the device.
Hoard's own node (``custom_nodes/hoard_noise.py``) makes that, too, a function of the seed and *i*.
Where it is not installed, an image of such a sampler can only be made again with its whole batch.
"""

from __future__ import annotations

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
    # so that its cost could not be told, nor one of its images made again alone.
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
