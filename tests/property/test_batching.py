"""The batching rule, stated as invariants."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.batching import images_for

SIDES = st.integers(1, 48).map(lambda blocks: blocks * 64)
AMOUNTS = st.integers(1, 20)
MAX_PIXELS = st.integers(64 * 64, 3072 * 3072)
REMAINING = st.integers(1, 20)
WEIGHTS = st.floats(1, 10)


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
