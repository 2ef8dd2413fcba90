"""Matching: may this worker have this request, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class SkipReason(StrEnum):
    """Why a worker was not given a waiting request; the names are the v2 API's."""

    WORKER_ID = "worker_id"
    """The request names the workers that may (or may not) serve it."""
    PERFORMANCE = "performance"
    """The worker is too slow for the request."""
    NSFW = "nsfw"
    """The worker does not serve requests that allow adult content."""
    UNTRUSTED = "untrusted"
    """The request wants workers of trusted owners only."""
    MODELS = "models"
    """The worker offers none of the request's models."""
    MAX_PIXELS = "max_pixels"
    """The image is larger than the worker's maximum."""


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
    """Return the first reason why the worker may not serve such a request, or None if it may."""
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
    return None


def model_for(worker: Capabilities, wanted: tuple[str, ...]) -> str:
    """Return the model that a job is made with: the first of the worker's that the request allows.

    :raises ValueError: when there is none.
    """
    for model in worker.models:
        if not wanted or model in wanted:
            return model
    raise ValueError("the worker offers none of the request's models")
