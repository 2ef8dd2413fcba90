"""Bodies of the routes about models and statistics."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class SinglePeriodImgStat(BaseModel):
    """What was made within some time."""

    images: int
    ps: int
    """Pixelsteps: denoiser passes times pixels."""


class StatsImgTotals(BaseModel):
    """What was made within the last minute, hour, day, 30 days, and ever."""

    minute: SinglePeriodImgStat
    hour: SinglePeriodImgStat
    day: SinglePeriodImgStat
    month: SinglePeriodImgStat
    total: SinglePeriodImgStat


class ImgModelStats(BaseModel):
    """Images by model within the last day, 30 days, and ever."""

    day: dict[str, int]
    month: dict[str, int]
    total: dict[str, int]


class ActiveModel(BaseModel):
    """A model that workers offer, or that requests wait for."""

    name: str
    count: int
    """Threads of the workers that offer it now."""
    performance: float
    """Pixelsteps a second that one worker makes with it, 0 before the first job."""
    queued: float
    """Pixelsteps that wait for it."""
    jobs: float
    """Images that wait for it."""
    eta: int
    """Seconds that the workers need for what waits; 10000 when there are none."""
    type: Literal["image", "text"]
