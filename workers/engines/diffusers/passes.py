"""The passes of a batch through the model: their number, sizes and steps, and their count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from domain.images.settings import ImageSettings
from workers.engines.protocol import Progress

MOST_SCHEDULED_STEPS: Final = 1000
"""Noise levels that models are trained on; a schedule cannot have more steps."""

USUAL_STRENGTH: Final = 0.75
"""How much of a source image is drawn anew where a request does not say (v2's example)."""

USUAL_PAINTING_STRENGTH: Final = 1.0
"""The same for the part of an image that is painted: nothing of it is to shine through."""

USUAL_SECOND_STRENGTH: Final = 0.65
"""How much is drawn anew at full size with hires fix where a request does not say."""

_SIZE_STEP: Final = 64

StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""What pipelines call at the end of each of their own steps."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One denoising of all images of a batch."""

    width: int
    height: int
    steps: int
    """Steps that are made."""
    scheduled: int
    """Steps of the whole schedule; a pass that starts from images makes the last ones."""
    strength: float | None = None
    """What a pipeline makes :attr:`steps` of; None starts from noise."""


def plan_passes(
    settings: ImageSettings,
    *,
    native_side: int,
    has_source: bool = False,
    paints: bool = False,
    rounds_up: bool = False,
) -> tuple[Pass, ...]:
    """Return the passes that a batch takes, one or two.

    An image that starts from another one gets as many steps as were asked for, however little of
    it is drawn anew: that is what requests are priced by, and what ComfyUI does. The second pass of
    hires fix adds the last steps of the same schedule.

    :param native_side: pixels along the side of the square images that the model was trained on.
    :param rounds_up: whether the pipeline makes all the steps that a strength begins, rather than
        those that it fills.
    """
    width, height, steps = settings.width, settings.height, settings.steps
    if has_source:
        usual = USUAL_PAINTING_STRENGTH if paints else USUAL_STRENGTH
        strength = settings.denoising_strength or usual
        scheduled = _schedule(steps, strength)
        made = min(steps, _part(scheduled, strength))
        strength = _strength(made, scheduled, rounds_up=rounds_up)
        return (Pass(width, height, made, scheduled, strength),)
    whole = Pass(width, height, steps, steps)
    if not settings.hires_fix or min(width, height) <= native_side:
        return (whole,)
    strength = settings.hires_fix_denoising_strength or USUAL_SECOND_STRENGTH
    scheduled = max(steps, _schedule(1, strength))
    made = _part(scheduled, strength)
    shrunk = native_side / min(width, height)
    first = Pass(_rounded(width * shrunk), _rounded(height * shrunk), steps, steps)
    strength = _strength(made, scheduled, rounds_up=rounds_up)
    return first, Pass(width, height, made, scheduled, strength)


def _schedule(steps: int, strength: float) -> int:
    """The shortest schedule of which ``strength`` are ``steps`` steps."""
    scheduled = steps
    while scheduled < MOST_SCHEDULED_STEPS and _part(scheduled, strength) < steps:
        scheduled += 1
    return scheduled


def _part(scheduled: int, strength: float) -> int:
    return min(int(scheduled * strength), scheduled)


def _strength(made: int, scheduled: int, *, rounds_up: bool) -> float:
    """What makes a pipeline take the last ``made`` steps of a schedule, whatever floats do."""
    return (made - 0.5 if rounds_up else min(made + 0.5, scheduled)) / scheduled


def _rounded(pixels: float) -> int:
    return max(_SIZE_STEP, round(pixels / _SIZE_STEP) * _SIZE_STEP)


class StepCounter:
    """Reports each step of a batch once, over all the passes that it takes through the model."""

    def __init__(self, steps: int, on_progress: Callable[[Progress], None]) -> None:
        """Begin at zero.

        :param steps: of all passes together, at least 1.
        """
        self._steps = steps
        self._on_progress = on_progress
        self._reported = 0
        self.interruption: BaseException | None = None
        """What ``on_progress`` raised, if it did."""

    def callback(self, steps: int, change: StepCallback | None = None) -> StepCallback:
        """What the next pass calls after each inner step.

        :param steps: how many of the batch's steps this pass is.
        :param change: what else is done with the pass's values after each inner step.
        """
        first = self._reported

        def at_step_end(
            pipeline: Any, index: int, timestep: Any, values: dict[str, Any]
        ) -> dict[str, Any]:
            # Samplers that call the model twice per step have about twice as many inner steps.
            inner_steps = _inner_steps(pipeline)
            self._report(first + min(steps, (index + 1) * steps // inner_steps))
            return values if change is None else change(pipeline, index, timestep, values)

        return at_step_end

    def repeat(self) -> None:
        """Report the progress once more: something else than a step is made, and takes its time."""
        self._tell()

    def _report(self, reached: int) -> None:
        while self._reported < min(reached, self._steps):
            self._reported += 1
            self._tell()

    def _tell(self) -> None:
        try:
            self._on_progress(Progress(self._reported, self._steps))
        except BaseException as error:
            self.interruption = error
            raise


def _inner_steps(pipeline: Any) -> int:
    """How often this pass calls the model; one that starts midway has fewer than its scheduler."""
    counted = getattr(pipeline, "num_timesteps", None)
    return int(counted) if counted else len(pipeline.scheduler.timesteps)
