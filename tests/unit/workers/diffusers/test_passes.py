from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.images.settings import ImageSettings
from tests.diffusers_batches import (
    ENGINE_MARKS,
    MODEL,
    SCENES,
    batch_of,
    count_forwards,
    on_one_thread,
)
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.diffusers.passes import MOST_SCHEDULED_STEPS, Pass, plan_passes
from workers.engines.protocol import Progress

pytestmark = ENGINE_MARKS

NATIVE = 512


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: SCENES}, device="cpu")


def settings(**changes: Any) -> ImageSettings:
    return batch_of(1, **{"width": 512, "height": 512, "steps": 20, **changes}).settings


def test_text_alone_takes_one_pass() -> None:
    assert plan_passes(settings(), native_side=NATIVE) == (Pass(512, 512, 20, 20),)


@given(some.integers(1, 500), some.integers(1, 100), some.booleans())
def test_an_image_to_start_from_gets_the_steps_asked_for(
    steps: int, percent: int, rounds_up: bool
) -> None:
    asked = settings(steps=steps, denoising_strength=percent / 100)
    (only,) = plan_passes(asked, native_side=NATIVE, has_source=True, rounds_up=rounds_up)
    assert only.strength is not None
    assert 1 <= only.steps <= steps <= only.scheduled <= MOST_SCHEDULED_STEPS
    assert only.steps == steps or only.scheduled == MOST_SCHEDULED_STEPS
    assert abs(only.steps / only.scheduled - percent / 100) <= 1 / only.scheduled
    # The two rules by which pipelines find where in their schedule to start.
    reached = only.scheduled * only.strength
    made = only.scheduled - int(only.scheduled - reached) if rounds_up else int(reached)
    assert only.steps == made


def test_what_is_painted_is_drawn_wholly_anew_unless_a_request_says_else() -> None:
    plain, painted = (
        plan_passes(settings(), native_side=NATIVE, has_source=True, paints=paints)[0].strength
        for paints in (False, True)
    )
    assert plain is not None
    assert painted == 1.0
    assert plain < 1.0


def test_hires_fix_begins_small_and_ends_at_the_full_size() -> None:
    asked = settings(width=1024, height=768, hires_fix=True, hires_fix_denoising_strength=0.5)
    first, second = plan_passes(asked, native_side=NATIVE)
    assert first == Pass(704, 512, 20, 20)
    assert second == Pass(1024, 768, 10, 20, 10.5 / 20)


def test_hires_fix_does_nothing_to_images_that_are_not_larger_than_the_model() -> None:
    asked = settings(width=1024, height=512, hires_fix=True)
    assert plan_passes(asked, native_side=NATIVE) == (Pass(1024, 512, 20, 20),)


def test_both_passes_of_hires_fix_take_the_batch_at_once(engine: DiffusersEngine) -> None:
    told: list[Progress] = []
    batch = batch_of(
        2, width=576, height=576, steps=2, hires_fix=True, hires_fix_denoising_strength=0.5
    )
    rows = count_forwards(engine, lambda: engine.generate(batch, told.append))
    assert rows == [4] * 3
    assert told == [Progress(step, 3) for step in (1, 2, 3)]
