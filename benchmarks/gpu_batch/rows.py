"""What is measured, and what it gave: a row that was not measured says why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from domain.images.settings import ImageSettings


@dataclass(frozen=True, slots=True)
class Job:
    """One batch: how many images of which size, made how."""

    shape: str
    """Name of the model's shape."""
    side: int
    """Pixels along the side of each image, a multiple of 64."""
    sampler: str
    """Name of the v2 API."""
    steps: int
    """Denoising steps."""
    cfg_scale: float
    """Guidance; above 1 each step takes every image through the model twice, at 1 once."""
    images: int
    """Images in the batch, 1 or more."""

    @property
    def alone(self) -> Job:
        """A single image, made the same way."""
        return replace(self, images=1)

    @property
    def settings(self) -> ImageSettings:
        """The same for an engine."""
        return ImageSettings(
            width=self.side,
            height=self.side,
            steps=self.steps,
            sampler=self.sampler,
            cfg_scale=self.cfg_scale,
            karras=False,
            clip_skip=1,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """What one batch cost."""

    job: Job
    runs: tuple[float, ...] = ()
    """Seconds of each run; none when it was not measured."""
    peak_gib: float | None = None
    """Most GiB of the GPU's memory that were in use; None without a GPU of CUDA's kind."""
    why_not: str | None = None
    """Why it was not measured."""
    remark: str | None = None
    """What makes the figures doubtful."""

    @property
    def seconds(self) -> float | None:
        """Median over the runs."""
        return median(self.runs) if self.runs else None


def price_of_extra(first: float, seconds: float, images: int) -> float:
    """Return what each image after the first costs, in per cent of the first.

    100 means that a batch saves nothing over one image after the other.

    :param first: seconds of a batch of one.
    :param seconds: those of the batch.
    :param images: how many it has, 2 or more.
    :raises ValueError: when there is no extra image.
    """
    if images < 2:
        raise ValueError("a batch of one has no extra image")
    return (seconds - first) / (images - 1) / first * 100


def prices(rows: Iterable[Row]) -> dict[Job, float]:
    """Return what each extra image costs in the batches whose first image is among ``rows``.

    Batches of one, and whatever was not measured, have no price.
    """
    measured = {row.job: row.seconds for row in rows if row.seconds is not None}
    found = {}
    for job, seconds in measured.items():
        first = measured.get(job.alone)
        if job.images > 1 and first is not None:
            found[job] = price_of_extra(first, seconds, job.images)
    return found


def row_as_json(row: Row, price: float | None) -> dict[str, Any]:
    """One JSON line."""
    job = row.job
    return {
        "kind": "batch",
        "shape": job.shape,
        "side": job.side,
        "sampler": job.sampler,
        "steps": job.steps,
        "cfg_scale": job.cfg_scale,
        "images": job.images,
        "seconds": None if row.seconds is None else round(row.seconds, 4),
        "runs": [round(run, 4) for run in row.runs],
        "extra_image_percent": None if price is None else round(price, 1),
        "peak_gib": None if row.peak_gib is None else round(row.peak_gib, 2),
        "not_measured": row.why_not,
        "remark": row.remark,
    }
