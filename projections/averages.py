"""Moving averages: the newest measure counts a fifth, what was measured long ago hardly at all."""

from __future__ import annotations

_NEWEST = 0.2


def moved_average(average: float | None, measure: float) -> float:
    """Return an average with one more measure in it; the first measure is the average."""
    return measure if average is None else average + _NEWEST * (measure - average)
