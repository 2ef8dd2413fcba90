"""What clients are told about what was made."""

from __future__ import annotations

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
