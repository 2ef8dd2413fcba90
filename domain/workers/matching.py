"""Matching: may this worker have this request, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from domain.workers.bridges import is_capable


class SkipReason(StrEnum):
    """Why a worker was not given a waiting request; the names are the v2 API's."""

    WORKER_ID = "worker_id"
    """The request names the workers that may (or may not) serve it."""
    PERFORMANCE = "performance"
    """The worker is too slow for the request."""
    NSFW = "nsfw"
    """The worker does not serve requests that allow adult content."""
    BLACKLIST = "blacklist"
    """The prompt holds a word that the worker refuses."""
    UNTRUSTED = "untrusted"
    """The request wants workers of trusted owners only."""
    MODELS = "models"
    """The worker offers none of the request's models."""
    BRIDGE_VERSION = "bridge_version"
    """The worker's software is too old for what the request needs."""
    KUDOS = "kudos"
    """The worker wants requests whose kudos are there, and this one's are not."""
    MAX_PIXELS = "max_pixels"
    """The image is larger than the worker's maximum."""
    STEP_COUNT = "step_count"
    """The worker limits steps, and the request has more."""
    UNSAFE_IP = "unsafe_ip"
    """The request came through a network that the worker does not serve."""
    IMG2IMG = "img2img"
    """The worker takes no source images."""
    PAINTING = "painting"
    """The worker neither inpaints nor outpaints."""
    POST_PROCESSING = "post-processing"
    """The worker does not post-process."""
    LORA = "lora"
    """The worker loads no LoRAs or textual inversions."""
    CONTROLNET = "controlnet"
    """The worker has no ControlNet, or none for this family of models."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a request asks of a worker; requests with equal requirements wait in one lane."""

    models: tuple[str, ...]
    """Sorted names of which the worker must offer one; empty means any model."""
    pixels: int
    """Pixels of one image."""
    nsfw: bool
    trusted_workers: bool
    slow_workers: bool
    """Whether slow workers may serve it."""
    extra_slow_workers: bool
    """Whether workers that declare themselves extra slow may serve it."""
    workers: tuple[UUID, ...] = ()
    """Sorted ids of the workers that alone may serve it, or that may not (see below)."""
    worker_blacklist: bool = False
    """Whether ``workers`` is a deny list instead of an allow list."""
    img2img: bool = False
    """Whether there is a source image."""
    painting: bool = False
    """Whether only a part of the source image is drawn anew."""
    post_processing: bool = False
    controlnet: bool = False
    sdxl_controlnet: bool = False
    """Whether the ControlNet is one for SDXL, which many workers lack."""
    lora: bool = False
    """Whether LoRAs or textual inversions are to be loaded."""
    many_steps: bool = False
    """Whether its steps are above what workers that limit steps take."""
    unfunded: bool = False
    """Whether its account lacked the kudos for it when it was submitted."""
    unsafe_ip: bool = False
    """Whether it came through a network that the operator calls unsafe."""
    features: tuple[str, ...] = ()
    """Sorted names of what only newer worker software can do."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker declares about itself; an event only when it changes."""

    models: tuple[str, ...]
    """Sorted names of the models that it serves."""
    amount: int
    """Images per batch, 1 to 20."""
    max_pixels: int
    """Pixels of the largest image that it makes, 64² to 3072²."""
    nsfw: bool
    threads: int
    """Jobs that it runs at a time, 1 to 50."""
    extra_slow: bool
    bridge_agent: str
    """Name, version and contact of its software, ``name:version:url``."""
    img2img: bool = False
    painting: bool = False
    post_processing: bool = False
    controlnet: bool = False
    sdxl_controlnet: bool = False
    lora: bool = False
    """Whether it loads LoRAs and textual inversions."""
    unsafe_ip: bool = False
    """Whether it serves requests that came through unsafe networks."""
    limit_max_steps: bool = False
    """Whether it takes requests of usual step counts only."""
    require_upfront_kudos: bool = False
    """Whether it takes only requests whose kudos were there when they were submitted."""
    blacklist: tuple[str, ...] = ()
    """Sorted words, in lower case, that it does not draw."""
    features: tuple[str, ...] = ()
    """Sorted names of what its software says it can do, beyond what its agent's name implies."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker as matching sees it."""

    worker_id: UUID
    capabilities: Capabilities
    trusted: bool
    """Whether its owner is trusted."""
    slow: bool = False
    """Whether it was measured at half a megapixelstep a second or less."""


def why_not(worker: Candidate, wanted: Requirements) -> SkipReason | None:
    """Return the first reason why the worker may not serve such a request, or None if it may.

    :attr:`SkipReason.BLACKLIST` is never among them: see :func:`refuses_words`.
    """
    offered = worker.capabilities
    if wanted.workers and (worker.worker_id in wanted.workers) is wanted.worker_blacklist:
        return SkipReason.WORKER_ID
    if wanted.models and not set(wanted.models).intersection(offered.models):
        return SkipReason.MODELS
    if wanted.pixels > offered.max_pixels:
        return SkipReason.MAX_PIXELS
    if wanted.nsfw and not offered.nsfw:
        return SkipReason.NSFW
    if wanted.trusted_workers and not worker.trusted:
        return SkipReason.UNTRUSTED
    if (worker.slow and not wanted.slow_workers) or (
        offered.extra_slow and not wanted.extra_slow_workers
    ):
        return SkipReason.PERFORMANCE
    return _inability(offered, wanted) or _reluctance(offered, wanted)


def _inability(offered: Capabilities, wanted: Requirements) -> SkipReason | None:
    """Return what the worker cannot do."""
    if wanted.img2img and not offered.img2img:
        return SkipReason.IMG2IMG
    if wanted.painting and not offered.painting:
        return SkipReason.PAINTING
    if wanted.post_processing and not offered.post_processing:
        return SkipReason.POST_PROCESSING
    if (wanted.controlnet and not offered.controlnet) or (
        wanted.sdxl_controlnet and not offered.sdxl_controlnet
    ):
        return SkipReason.CONTROLNET
    if wanted.lora and not offered.lora:
        return SkipReason.LORA
    undeclared = set(wanted.features).difference(offered.features)
    if not is_capable(offered.bridge_agent, undeclared):
        return SkipReason.BRIDGE_VERSION
    return None


def _reluctance(offered: Capabilities, wanted: Requirements) -> SkipReason | None:
    """Return what the worker could do, and its owner does not want."""
    if wanted.unsafe_ip and not offered.unsafe_ip:
        return SkipReason.UNSAFE_IP
    if wanted.many_steps and offered.limit_max_steps:
        return SkipReason.STEP_COUNT
    if wanted.unfunded and offered.require_upfront_kudos:
        return SkipReason.KUDOS
    return None


def refuses_words(worker: Capabilities, *texts: str) -> bool:
    """Whether a text holds a word of the worker's blacklist, in any case, within a word or not.

    It does not follow from the requirements, since prompts are sealed: it is asked once a request
    is opened for this worker.
    """
    if not worker.blacklist:
        return False
    lowered = "\n".join(texts).lower()
    return any(word in lowered for word in worker.blacklist)


def as_preferred(worker: Candidate) -> Candidate:
    """Return the worker as it serves the accounts that it prefers: without upfront kudos."""
    if not worker.capabilities.require_upfront_kudos:
        return worker
    return replace(worker, capabilities=replace(worker.capabilities, require_upfront_kudos=False))


def model_for(
    worker: Capabilities, wanted: tuple[str, ...], loaded_model: str | None = None
) -> str:
    """Return the model that a job is made with, among the worker's that the request allows: the one
    that it has loaded, or else the first.

    :raises ValueError: when there is none.
    """
    loaded = [loaded_model] if loaded_model in worker.models else []
    for model in (*loaded, *worker.models):
        if not wanted or model in wanted:
            return model
    raise ValueError("the worker offers none of the request's models")
