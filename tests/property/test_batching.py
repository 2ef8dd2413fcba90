"""The batching rule, stated as invariants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.images.controlnet import CONTROL_TYPES
from domain.images.post_processing import HEAVY_POST_PROCESSORS, POST_PROCESSORS
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from domain.requests.batching import images_for, pixel_weight

SIDES = st.integers(1, 48).map(lambda blocks: blocks * 64)
AMOUNTS = st.integers(1, 20)
MAX_PIXELS = st.integers(64 * 64, 3072 * 3072)
REMAINING = st.integers(1, 20)
WEIGHTS = st.floats(1, 10)
PLAIN = ImageSettings(512, 512, 30, "k_euler", 5.0, True, 1)
POST_PROCESSING = st.lists(st.sampled_from(sorted(POST_PROCESSORS)), max_size=4).map(tuple)
SETTINGS = st.builds(
    ImageSettings,
    width=SIDES,
    height=SIDES,
    steps=st.integers(1, 500),
    sampler=st.just("k_euler"),
    cfg_scale=st.just(5.0),
    karras=st.booleans(),
    clip_skip=st.just(1),
    transparent=st.booleans(),
    post_processing=POST_PROCESSING,
    control_type=st.none() | st.sampled_from(sorted(CONTROL_TYPES)),
)
SPARE_PIXELS = st.integers(0, 3072 * 3072)
"""How many pixels more than the image the worker declares: no slice is above its maximum."""
FAMILIES = st.sampled_from(Baseline)


def test_twenty_images_at_512_and_seven_at_2048_for_a_worker_of_20_and_2048() -> None:
    worker = {"amount": 20, "max_pixels": 2048 * 2048, "remaining": 20}
    assert images_for(width=512, height=512, **worker) == 20
    assert images_for(width=2048, height=2048, **worker) == 7


@given(AMOUNTS, MAX_PIXELS, SIDES, SIDES, REMAINING, WEIGHTS)
def test_never_zero_never_more_than_declared_or_remain(
    amount: int, max_pixels: int, width: int, height: int, remaining: int, weight: float
) -> None:
    assume(width * height <= max_pixels)
    images = images_for(
        amount=amount,
        max_pixels=max_pixels,
        width=width,
        height=height,
        remaining=remaining,
        weight=weight,
    )
    assert 1 <= images <= min(amount, remaining)


@given(AMOUNTS, MAX_PIXELS, SIDES, SIDES, SIDES, SIDES)
def test_fewer_pixels_never_mean_a_smaller_slice(
    amount: int, max_pixels: int, width: int, height: int, other_width: int, other_height: int
) -> None:
    small, large = sorted([(width, height), (other_width, other_height)], key=_pixels)
    assume(_pixels(large) <= max_pixels)
    assert _slice(amount, max_pixels, small) >= _slice(amount, max_pixels, large)


@given(AMOUNTS, AMOUNTS, MAX_PIXELS, MAX_PIXELS, SIDES, SIDES)
def test_a_bigger_worker_never_gets_a_smaller_slice(
    amount: int, other_amount: int, pixels: int, other_pixels: int, width: int, height: int
) -> None:
    small, large = sorted([pixels, other_pixels])
    few, many = sorted([amount, other_amount])
    assume(width * height <= small)
    size = (width, height)
    assert _slice(few, small, size) <= _slice(many, small, size) <= _slice(many, large, size)


@given(AMOUNTS, MAX_PIXELS, SIDES, SIDES, WEIGHTS)
def test_heavier_pixels_never_mean_a_larger_slice(
    amount: int, max_pixels: int, width: int, height: int, weight: float
) -> None:
    assume(width * height <= max_pixels)
    size = (width, height)
    assert _slice(amount, max_pixels, size, weight) <= _slice(amount, max_pixels, size)


@given(AMOUNTS, MAX_PIXELS, SIDES, SIDES)
def test_nothing_above_the_workers_maximum(
    amount: int, max_pixels: int, width: int, height: int
) -> None:
    assume(width * height > max_pixels)
    with pytest.raises(ValueError, match="above the worker's maximum"):
        _slice(amount, max_pixels, (width, height))


def test_nothing_remains_nothing_is_sliced() -> None:
    with pytest.raises(ValueError, match="no images remain"):
        images_for(amount=1, max_pixels=64 * 64, width=64, height=64, remaining=0)


@pytest.mark.parametrize(
    ("changes", "family", "weight", "images"),
    [
        ({}, Baseline.SD_1, 1.0, 20),
        ({}, Baseline.SDXL, 1.0, 20),
        ({"post_processing": ("GFPGAN",)}, Baseline.SD_1, 1.4, 19),
        ({"post_processing": ("GFPGAN", "strip_background")}, Baseline.SD_1, 1.8, 15),
        ({"post_processing": ("CodeFormers",)}, Baseline.SD_1, 1.4 * 1.8, 11),
        ({"transparent": True}, Baseline.SDXL, 1.8, 15),
        ({"transparent": True, "post_processing": ("NMKD_Siax",)}, Baseline.SD_1, 1.4 * 1.8, 11),
        ({}, Baseline.FLUX, 5.0, 5),
        ({}, Baseline.Z_IMAGE, 8.0, 3),
        ({}, Baseline.QWEN, 10.0, 3),
        ({"post_processing": ("RestoreFormer",)}, Baseline.FLUX, 1.4 * 1.8 * 5, 2),
    ],
)
def test_known_weights_for_a_worker_of_20_and_1024(
    changes: dict[str, object], family: Baseline, weight: float, images: int
) -> None:
    # 20 * 1024² / 3 / 512² is 26.67 images of weight 1.
    assert pixel_weight(replace(PLAIN, **changes), family) == pytest.approx(weight)  # type: ignore[arg-type]
    weighed = pixel_weight(replace(PLAIN, **changes), family)  # type: ignore[arg-type]
    assert _slice(20, 1024 * 1024, (512, 512), weighed) == images


@given(SETTINGS, FAMILIES, AMOUNTS, SPARE_PIXELS, REMAINING)
def test_whatever_is_asked_a_slice_fits_the_worker_and_is_not_empty(
    settings: ImageSettings, family: Baseline, amount: int, spare: int, remaining: int
) -> None:
    weight = pixel_weight(settings, family)
    assert weight >= 1
    images = images_for(
        amount=amount,
        max_pixels=settings.pixels + spare,
        width=settings.width,
        height=settings.height,
        remaining=remaining,
        weight=weight,
    )
    assert 1 <= images <= min(amount, remaining)


@given(SETTINGS, FAMILIES, st.sampled_from(sorted(POST_PROCESSORS)), AMOUNTS, SPARE_PIXELS)
def test_more_post_processing_never_means_a_larger_slice(
    settings: ImageSettings, family: Baseline, further: str, amount: int, spare: int
) -> None:
    max_pixels = settings.pixels + spare
    more = replace(settings, post_processing=(*settings.post_processing, further))
    light, heavy = pixel_weight(settings, family), pixel_weight(more, family)
    assert light < heavy
    size = (settings.width, settings.height)
    assert _slice(amount, max_pixels, size, heavy) <= _slice(amount, max_pixels, size, light)


@given(SETTINGS, st.sampled_from(sorted(HEAVY_POST_PROCESSORS)))
def test_no_family_is_lighter_than_sd(settings: ImageSettings, heavy: str) -> None:
    more = replace(settings, post_processing=(heavy,))
    for family in Baseline:
        assert pixel_weight(settings, family) >= pixel_weight(settings, Baseline.SD_1)
        assert pixel_weight(more, family) >= 1.4 * 1.8


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _slice(amount: int, max_pixels: int, size: tuple[int, int], weight: float = 1.0) -> int:
    return images_for(
        amount=amount,
        max_pixels=max_pixels,
        width=size[0],
        height=size[1],
        remaining=20,
        weight=weight,
    )
