"""One image of a batch made again: alone up to rounding, with its batch bit for bit."""

from __future__ import annotations

import pytest

from tests.comfyui.batches import STEPS, a_batch, make
from tests.comfyui.pictures import (
    CLEARLY,
    MOST_ROUNDING,
    digest,
    largest_difference,
    mean_difference,
)
from tests.comfyui.server import ComfyUIServer
from workers.engines.comfyui.engine import ComfyUIEngine


@pytest.mark.parametrize("sampler", ["lcm", "k_euler", "k_euler_a", "k_dpmpp_sde"])
def test_image_five_of_eight_alone_is_the_same_picture(
    engine: ComfyUIEngine, comfyui: ComfyUIServer, sampler: str
) -> None:
    batch = make(engine, a_batch(8, sampler=sampler))
    comfyui.passes()

    (alone,) = make(engine, a_batch(indices=[5], sampler=sampler))

    assert set(comfyui.passes()) == {1}
    assert largest_difference(alone, batch[5]) <= MOST_ROUNDING
    assert mean_difference(alone, batch[4]) > CLEARLY


def test_image_five_with_its_whole_batch_is_equal_bit_for_bit(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    recorded = [digest(picture) for picture in make(engine, a_batch(8))]
    # What ComfyUI remembers of the batch must not stand in for making it again.
    comfyui.kill()
    comfyui.start()
    comfyui.passes()

    (exact,) = make(engine, a_batch(indices=[5], size=8))

    assert comfyui.passes() == [8] * STEPS
    assert digest(exact) == recorded[5]
    assert recorded.count(recorded[5]) == 1
