"""What clients are told about models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


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
