"""The pace at which those who wait for news are looked after."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked, in seconds, and how much is kept."""

    look: float = 0.25
    """The log, where nobody wakes the hub."""
    look_again: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04, 0.08)
    """The log, one after the other, where somebody woke the hub but no event was final yet."""
    rest: float = 0.01
    """Between two looks, however often it is woken."""
    steps: float = 0.1
    """Between two words on the steps that jobs make."""
    keep_alive: float = 15.0
    """Between two signs of life on a stream, and two looks at its place in the queue."""
    most_untold: int = 256
    """Events that one client may be behind before its stream is cut off."""
