"""ControlNet: a source image that guides the composition instead of being drawn over."""

from __future__ import annotations

CONTROL_TYPES = frozenset(
    {
        "canny",
        "depth",
        "fakescribbles",
        "hed",
        "hough",
        "normal",
        "openpose",
        "scribble",
        "seg",
    }
)
"""What a ControlNet can take from an image, by the v2 names."""

CONTROLLED_STEPS = 20
"""Steps of a request with a control type that names none."""

MOST_CONTROLLED_STEPS = 40
"""Most steps of a request with a control type."""
