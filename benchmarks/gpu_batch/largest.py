"""The largest batch that fits, against what the batching rule assumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

from domain.jobs.image_ids import MOST_IMAGES
from domain.requests.batching import SAFE_SHARE_OF_MAXIMUM, images_for

_SIZE_STEP = 64


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A worker that declared a maximum, and the amount that it can hold where the rule assumes it.

    Numbers are None when they were not measured.
    """

    shape: str
    maximum: int
    """Side, in pixels, of the largest image that the worker declares."""
    at_a_third: int | None = None
    """The largest batch at the side of :func:`side_of_a_third`: what the worker can declare."""
    at_maximum: int | None = None
    """The largest batch at the maximum."""
    why_not: str | None = None
    """Why it was not measured."""

    @property
    def handed_out(self) -> int | None:
        """Images that the rule gives such a worker at its maximum; None if it can declare none."""
        if not self.at_a_third:
            return None
        return images_for(
            amount=self.at_a_third,
            max_pixels=self.maximum**2,
            width=self.maximum,
            height=self.maximum,
            remaining=MOST_IMAGES,
        )

    @property
    def holds(self) -> bool | None:
        """Whether what the rule hands out fits; None when that was not measured."""
        if self.handed_out is None or self.at_maximum is None:
            return None
        return self.handed_out <= self.at_maximum

    def as_json(self) -> dict[str, Any]:
        """One JSON line."""
        return {
            "kind": "largest",
            "shape": self.shape,
            "maximum_side": self.maximum,
            "third_side": side_of_a_third(self.maximum),
            "fits_at_a_third": self.at_a_third,
            "rule_hands_out_at_maximum": self.handed_out,
            "fits_at_maximum": self.at_maximum,
            "rule_holds": self.holds,
            "not_measured": self.why_not,
        }


def side_of_a_third(maximum: int) -> int:
    """Return the side of the largest square image with a third of the pixels, in steps of 64."""
    side = isqrt(maximum**2 // SAFE_SHARE_OF_MAXIMUM)
    return side // _SIZE_STEP * _SIZE_STEP


def largest_fitting(fits: Callable[[int], bool], most: int = MOST_IMAGES) -> int:
    """Return the largest batch that fits, 0 to ``most``, searched for upwards.

    The size is doubled until one does not fit; the rest is halved. Whatever is smaller than one
    that fits is taken to fit.

    :param fits: tries a batch of that many images.
    :param most: where the search ends; by default a request's largest number of images.
    """
    fitting, failing = 0, most + 1
    while failing - fitting > 1:
        size = min(max(2 * fitting, 1), most) if failing > most else (fitting + failing) // 2
        if fits(size):
            fitting = size
        else:
            failing = size
    return fitting
