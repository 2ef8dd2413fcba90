"""Every sampler of the v2 API runs on a real ComfyUI, and gives up single images of its batches."""

from __future__ import annotations

import pytest

from domain.images.sampling import SAMPLERS, counted_steps
from tests.comfyui.batches import a_batch, make
from tests.comfyui.pictures import MOST_ROUNDING, are_all_different, largest_difference
from tests.comfyui.server import ComfyUIServer
from workers.engines.comfyui.engine import ComfyUIEngine

STEPS = 3


@pytest.mark.parametrize(
    ("sampler", "karras", "steps"),
    [
        *((sampler, True, STEPS) for sampler in sorted(SAMPLERS)),
        ("k_euler", False, STEPS),
        ("DDIM", False, STEPS),
    ],
)
def test_a_sampler_runs_the_batch_together_and_its_images_are_made_again_alone(
    engine: ComfyUIEngine, comfyui: ComfyUIServer, sampler: str, karras: bool, steps: int
) -> None:
    batch = make(engine, a_batch(3, sampler=sampler, karras=karras, steps=steps))

    passes = comfyui.passes()
    assert set(passes) == {3}
    # Some predict and correct in each step, or need no second pass in the last one.
    assert steps <= len(passes) <= counted_steps(sampler, steps) + 1
    assert are_all_different(batch)

    (alone,) = make(engine, a_batch(indices=[2], sampler=sampler, karras=karras, steps=steps))

    assert comfyui.passes() == [1] * len(passes)
    assert largest_difference(alone, batch[2]) <= MOST_ROUNDING
