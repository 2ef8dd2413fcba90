"""Counting a batch's steps, whatever its samplers make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.engines.protocol import Progress

StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""What pipelines call at the end of each of their own steps."""


class StepCounter:
    """Tells each step of a batch once, over all the passes that it takes through the model."""

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
        """Tell once more how far it is: something else than a step is made, and takes its time."""
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
