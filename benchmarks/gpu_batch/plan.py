"""What is to be measured of a shape, and what is left out on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.gpu_batch.rows import Job
from benchmarks.gpu_batch.shapes import Shape

COUNTS: Final = (1, 2, 4, 8, 20)
"""Images in a batch."""

LCM_COUNTS: Final = (1, 20)
LCM_STEPS: Final = 4
LCM_CFG_SCALES: Final = (1.0, 1.5)
"""Models distilled for few steps are run without guidance, which is once through the model a step,
or with a little, which is twice."""

_SAMPLER: Final = "k_euler_a"
_CFG_SCALE: Final = 7.5
_STEPS: Final = 30
_TINY_STEPS: Final = 8
_QUICK_STEPS: Final = 4
_RUNS: Final = 3


class Part(StrEnum):
    """The parts of the measurement."""

    BATCHES = "batches"
    """Batches of growing size at the model's own resolution."""
    LCM = "lcm"
    """Twenty images in four steps, with SDXL."""
    LARGEST = "largest"
    """The largest batch by resolution."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Choices for one run of the benchmark."""

    parts: frozenset[Part] = frozenset(Part)
    counts: tuple[int, ...] = COUNTS
    steps: int | None = None
    """Of the batches; None takes 30 for real shapes and 8 for tiny ones."""
    is_quick: bool = False
    """One run of at most 4 steps instead of three whole ones."""

    @property
    def runs(self) -> int:
        """How often a batch is timed."""
        return 1 if self.is_quick else _RUNS

    def jobs(self, shape: Shape) -> Iterator[tuple[Job, str | None]]:
        """Every batch of the table with the reason why it is left out, None for those to be run."""
        for images in COUNTS:
            steps = self._steps_of(shape)
            why = None if images in self.counts else "left out by --images"
            job = Job(shape.name, shape.side, _SAMPLER, steps, _CFG_SCALE, images)
            yield job, self._left_out(Part.BATCHES) or why
        if not shape.is_sdxl:
            return
        for cfg_scale in LCM_CFG_SCALES:
            for images in LCM_COUNTS:
                job = Job(shape.name, shape.side, "lcm", LCM_STEPS, cfg_scale, images)
                yield job, self._left_out(Part.LCM)

    def search_left_out(self) -> str | None:
        """Why the largest batches are not searched for, if they are not."""
        return self._left_out(Part.LARGEST)

    def _left_out(self, part: Part) -> str | None:
        return None if part in self.parts else "left out by --only"

    def _steps_of(self, shape: Shape) -> int:
        usual = _STEPS if shape.maxima else _TINY_STEPS
        steps = usual if self.steps is None else self.steps
        return min(steps, _QUICK_STEPS) if self.is_quick else steps


def probe(shape: Shape, side: int, images: int) -> Job:
    """The batch that tells whether so many images of a size fit.

    With guidance, which doubles what goes through the model; one step needs as much as many.
    """
    return Job(shape.name, side, _SAMPLER, 1, _CFG_SCALE, images)
