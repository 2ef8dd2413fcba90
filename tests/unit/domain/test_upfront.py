"""Kudos up front: which requests are heavy, and how small they become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.images.sampling import SAMPLERS
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from domain.models.loras import Lora
from domain.requests.upfront import Load, downgraded, free_side, is_always_free, needs_upfront

PLAIN = ImageSettings(512, 512, 30, "k_euler", 5.0, True, 1)
QUIET = Load(threads=0, waiting=0)
BUSY = Load(threads=0, waiting=1000)
SD = Baseline.SD_1


@pytest.mark.parametrize(
    ("threads", "waiting", "family", "side"),
    [
        (0, 0, SD, 1024),
        (50, 0, SD, 1024),
        (0, 100, SD, 1024 - 90),
        (5, 100, SD, 1024 + 50 - 90),
        (0, 497, SD, 1024 - 447),
        (0, 499, SD, 576),
        (0, 10_000, SD, 576),
        (0, 10_000, Baseline.SD_2_512, 576),
        (0, 10_000, Baseline.SD_2, 768),
        (0, 10_000, Baseline.SDXL, 1024),
        (0, 10_000, Baseline.CASCADE, 1024),
        (0, 10_000, Baseline.FLUX, 1024),
    ],
)
def test_the_free_side_follows_the_demand(
    threads: int, waiting: int, family: Baseline, side: int
) -> None:
    assert free_side(Load(threads, waiting), family) == side


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"steps": 40}, False),
        ({"steps": 41}, True),
        ({"steps": 20, "sampler": "k_heun"}, False),
        ({"steps": 21, "sampler": "k_heun"}, True),
        ({"sampler": "k_dpm_adaptive", "steps": 500}, False),
        ({"sampler": "lcm", "steps": 10}, False),
        ({"sampler": "lcm", "steps": 11}, True),
        ({"loras": (Lora("195519"),), "steps": 11}, True),
        ({"loras": (Lora("246747", is_version=True),), "steps": 11}, True),
        ({"loras": (Lora("246747"),), "steps": 11}, False),
        ({"control_type": "canny", "steps": 20}, False),
        ({"control_type": "canny", "steps": 21}, True),
        ({"width": 1024, "height": 1024}, False),
        ({"width": 512, "height": 2048}, False),
        ({"width": 1024, "height": 1088}, True),
    ],
)
def test_what_is_heavy(changes: dict[str, Any], needed: bool) -> None:
    settings = replace(PLAIN, **changes)
    assert needs_upfront(settings, SD, slow_workers=True, load=QUIET) is needed
    assert needs_upfront(settings, SD, slow_workers=False, load=QUIET)


def test_when_much_waits_smaller_images_are_heavy() -> None:
    settings = replace(PLAIN, width=640, height=640)
    assert not needs_upfront(settings, SD, slow_workers=True, load=QUIET)
    assert needs_upfront(settings, SD, slow_workers=True, load=BUSY)
    assert not needs_upfront(settings, Baseline.SDXL, slow_workers=True, load=BUSY)


def test_a_heavy_request_becomes_as_large_as_is_free() -> None:
    heavy = replace(PLAIN, width=1536, height=1024, steps=80, sampler="k_heun")
    small = downgraded(heavy, SD, load=QUIET)
    assert (small.width, small.height, small.steps) == (1024, 1024, 20)
    small = downgraded(heavy, SD, load=BUSY)
    assert (small.width, small.height, small.steps) == (576, 576, 20)


SIDES = st.integers(1, 48).map(lambda blocks: blocks * 64)
SETTINGS = st.builds(
    ImageSettings,
    width=SIDES,
    height=SIDES,
    steps=st.integers(1, 500),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    cfg_scale=st.just(5.0),
    karras=st.booleans(),
    clip_skip=st.just(1),
    control_type=st.sampled_from([None, "canny"]),
    loras=st.sampled_from([(), (Lora("195519"),)]),
)
DEMANDS = st.builds(Load, st.integers(0, 100), st.integers(0, 10_000))


@given(SETTINGS, st.sampled_from(Baseline), DEMANDS)
def test_what_was_made_smaller_is_free_and_no_larger_than_before(
    settings: ImageSettings, family: Baseline, load: Load
) -> None:
    small = downgraded(settings, family, load=load)
    assert small.width <= settings.width
    assert small.height <= settings.height
    assert small.steps <= settings.steps
    assert small.width % 64 == small.height % 64 == 0
    assert min(small.width, small.height, small.steps) > 0
    chooses_its_own_steps = settings.sampler == "k_dpm_adaptive"
    assert chooses_its_own_steps or not needs_upfront(small, family, slow_workers=True, load=load)
    if not needs_upfront(settings, family, slow_workers=True, load=load):
        assert small == settings


@given(SETTINGS, st.sampled_from(Baseline), DEMANDS)
def test_no_demand_makes_heavy_what_is_always_free(
    settings: ImageSettings, family: Baseline, load: Load
) -> None:
    if is_always_free(settings, family):
        assert settings.pixels <= free_side(load, family) ** 2
