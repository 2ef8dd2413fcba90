"""Prices: a table worked out by hand from the formulas, and what must hold of every price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.kudos import burnt_by
from domain.images.controlnet import CONTROL_TYPES
from domain.images.post_processing import POST_PROCESSORS
from domain.images.sampling import SAMPLERS
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from domain.models.loras import Lora, TextualInversion
from domain.requests.pricing import image_kudos, quote

LORAS = tuple(Lora(str(number)) for number in range(5))
TIS = tuple(TextualInversion(str(number)) for number in range(20))


def made(
    width: int, height: int, steps: int, sampler: str = "k_euler", **more: Any
) -> ImageSettings:
    return ImageSettings(width, height, steps, sampler, 5.0, True, 1, **more)


# r, the weight of the resolution, is ((width * height - 4096) / 1044480) ** 1.75:
#   64x64 0   512x512 0.086576624   512x1024 0.295264474   768x768 0.363406549
#   832x1216 0.939055199   1024x1024 1   2048x2048 11.372005033   3072x3072 47.051023566
# A reward is 0.1232 * passes * (1 + 8.75 * r), with its surcharges; passes are steps as the sampler
# runs them. A case: settings, how they are asked for, images, the reward of one image, the total.
CASES: list[tuple[ImageSettings, dict[str, Any], int, float, float]] = [
    # reward 0.1232 * 30 * (1 + 8.75 * 0)
    # total (reward + 1) + 1
    (made(64, 64, 30), {}, 1, 3.696, 5.7),
    # reward 0.1232 * 1 * (1 + 8.75 * 0)
    # total (reward + 1) + 1
    (made(64, 64, 1), {}, 1, 0.1232, 2.12),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 30), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) * 4 + 1
    (made(512, 512, 30), {}, 4, 6.4959, 30.98),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) * 20 + 1
    (made(512, 512, 30), {}, 20, 6.4959, 150.92),
    # reward 0.1232 * 20 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 20), {}, 1, 4.3306, 6.33),
    # reward 0.1232 * 8 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 8, sampler="lcm"), {}, 1, 1.7322, 3.73),
    # reward 0.1232 * 4 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 4, sampler="lcm"), {}, 1, 0.8661, 2.87),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.295264474)
    # total (reward + 1) + 1
    (made(512, 1024, 30), {}, 1, 13.2449, 15.24),
    # reward 0.1232 * 25 * (1 + 8.75 * 0.363406549)
    # total (reward + 1) + 1
    (made(768, 768, 25), {}, 1, 12.8738, 14.87),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.939055199)
    # total (reward + 1) + 1
    (made(832, 1216, 30), {}, 1, 34.065, 36.07),
    # reward 0.1232 * 10 * (1 + 8.75 * 1)
    # total (reward + 1) + 1
    (made(1024, 1024, 10), {}, 1, 12.012, 14.01),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) + 1
    (made(1024, 1024, 30), {}, 1, 36.036, 38.04),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 20 + 1
    (made(1024, 1024, 30), {}, 20, 36.036, 741.72),
    # reward 0.1232 * 30 * (1 + 8.75 * 11.372005033)
    # total (reward + 1) + 1
    (made(2048, 2048, 30), {}, 1, 371.4666, 373.47),
    # reward 0.1232 * 30 * (1 + 8.75 * 47.051023566)
    # total (reward + 1) + 1
    (made(3072, 3072, 30), {}, 1, 1525.3261, 1527.33),
    # reward 0.1232 * 500 * (1 + 8.75 * 47.051023566)
    # total (reward + 1) + 1
    (made(3072, 3072, 500), {}, 1, 25422.1017, 25424.1),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_heun"), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_dpm_2"), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_dpm_2_a"), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_dpmpp_2s_a"), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_dpmpp_sde"), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 40 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 15, sampler="k_dpm_adaptive"), {}, 1, 8.6612, 10.66),
    # reward 0.1232 * 40 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 100, sampler="k_dpm_adaptive"), {}, 1, 8.6612, 10.66),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) * 1.2
    # total (reward + 1) + 1
    (made(512, 512, 30, post_processing=("GFPGAN",)), {}, 1, 7.7951, 9.8),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) * 1.2**2
    # total (reward + 1) + 1
    (
        made(512, 512, 30, post_processing=("RealESRGAN_x4plus", "CodeFormers")),
        {},
        1,
        9.3541,
        11.35,
    ),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) * 1.2**3
    # total (reward + 1) + 1
    (
        made(512, 512, 30, post_processing=("GFPGAN", "CodeFormers", "strip_background")),
        {},
        1,
        11.2249,
        13.22,
    ),
    # reward 0.1232 * 20 * (1 + 8.75 * 0.086576624) * 3
    # total (reward * 1.3 + 1) + 1
    (made(512, 512, 20, control_type="canny"), {"has_source": True}, 1, 12.9918, 18.89),
    # reward 0.1232 * 20 * (1 + 8.75 * 0.086576624) * 1.2 * 3
    # total (reward * 1.3 + 1) + 1
    (
        made(512, 512, 20, post_processing=("GFPGAN",), control_type="canny"),
        {"has_source": True},
        1,
        15.5901,
        22.27,
    ),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) + 3 * 1
    # total (reward + 1) + 1
    (made(512, 512, 30, loras=LORAS[:1]), {}, 1, 9.4959, 11.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) + 3 * 5
    # total (reward + 1) + 1
    (made(512, 512, 30, loras=LORAS[:5]), {}, 1, 21.4959, 23.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) + 1
    # total (reward + 1) + 1
    (made(512, 512, 30, tis=TIS[:1]), {}, 1, 7.4959, 9.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) + 1
    # total (reward + 1) + 1
    (made(512, 512, 30, tis=TIS[:4]), {}, 1, 7.4959, 9.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624) * 1.2 + 3 * 2 + 1
    # total (reward + 1) + 1
    (
        made(512, 512, 30, post_processing=("GFPGAN",), loras=LORAS[:2], tis=TIS[:2]),
        {},
        1,
        14.7951,
        16.8,
    ),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward * 1.3 + 1) + 1
    (made(512, 512, 30), {"has_source": True}, 1, 6.4959, 10.44),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) * 1.2 + 1
    (made(512, 512, 30), {"slow_workers": False}, 1, 6.4959, 10.0),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) * 1.1 + 1
    (made(512, 512, 30), {"worker_blacklist": True}, 1, 6.4959, 9.25),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) * 1.2 * 1.1 + 1
    (made(512, 512, 30), {"slow_workers": False, "worker_blacklist": True}, 1, 6.4959, 10.89),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward * 1.3 + 1) * 1.2 * 1.1 * 5 + 1
    (
        made(512, 512, 30),
        {"has_source": True, "slow_workers": False, "worker_blacklist": True},
        5,
        6.4959,
        63.33,
    ),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 2 + 1
    (made(1024, 1024, 30), {"family": Baseline.SDXL}, 1, 36.036, 75.07),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 2 * 4 + 1
    (made(1024, 1024, 30), {"family": Baseline.SDXL}, 4, 36.036, 297.29),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 4 + 1
    (made(1024, 1024, 30), {"family": Baseline.CASCADE}, 1, 36.036, 149.14),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 7 + 1
    (made(1024, 1024, 30, hires_fix=True), {"family": Baseline.CASCADE}, 1, 36.036, 260.25),
    # reward 0.1232 * 20 * (1 + 8.75 * 1)
    # total (reward + 1) * 8 + 1
    (made(1024, 1024, 20), {"family": Baseline.FLUX}, 1, 24.024, 201.19),
    # reward 0.1232 * 8 * (1 + 8.75 * 1)
    # total (reward + 1) * 8 + 1
    (made(1024, 1024, 8), {"family": Baseline.Z_IMAGE}, 1, 9.6096, 85.88),
    # reward 0.1232 * 30 * (1 + 8.75 * 1)
    # total (reward + 1) * 12 + 1
    (made(1024, 1024, 30), {"family": Baseline.QWEN}, 1, 36.036, 445.43),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 30), {"family": Baseline.SD_2}, 1, 6.4959, 8.5),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.086576624)
    # total (reward + 1) + 1
    (made(512, 512, 30, hires_fix=True), {}, 1, 6.4959, 8.5),
    # reward 0.1232 * 8 * (1 + 8.75 * 1) + 3 * 1
    # total (reward + 1) * 2 * 4 + 1
    (
        made(1024, 1024, 8, sampler="lcm", loras=LORAS[:1]),
        {"family": Baseline.SDXL},
        4,
        12.6096,
        109.88,
    ),
    # reward 0.1232 * 30 * (1 + 8.75 * 0.939055199) * 1.2 + 3 * 3 + 1
    # total (reward * 1.3 + 1) * 1.2 * 1.1 * 2 * 20 + 1
    (
        made(832, 1216, 30, post_processing=("GFPGAN",), loras=LORAS[:3], tis=TIS[:1]),
        {
            "family": Baseline.SDXL,
            "has_source": True,
            "slow_workers": False,
            "worker_blacklist": True,
        },
        20,
        50.8781,
        3546.07,
    ),
]


@pytest.mark.parametrize(("settings", "asked", "images", "reward", "total"), CASES)
def test_worked_out_by_hand(
    settings: ImageSettings, asked: dict[str, Any], images: int, reward: float, total: float
) -> None:
    assert image_kudos(settings) == pytest.approx(reward, abs=0.0001)
    assert quote(settings, images, **asked).total == pytest.approx(total, abs=0.006)


def test_the_table_is_long_enough() -> None:
    assert len({(settings, str(asked), images) for settings, asked, images, _, _ in CASES}) >= 40


SIDES = st.integers(1, 48).map(lambda blocks: blocks * 64)
IMAGES = st.integers(1, 20)
SETTINGS = st.builds(
    ImageSettings,
    width=SIDES,
    height=SIDES,
    steps=st.integers(1, 500),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    cfg_scale=st.just(5.0),
    karras=st.booleans(),
    clip_skip=st.integers(1, 12),
    hires_fix=st.booleans(),
    transparent=st.booleans(),
    post_processing=st.lists(st.sampled_from(sorted(POST_PROCESSORS)), max_size=4).map(tuple),
    control_type=st.none() | st.sampled_from(sorted(CONTROL_TYPES)),
    loras=st.integers(0, 5).map(lambda count: LORAS[:count]),
    tis=st.integers(0, 20).map(lambda count: TIS[:count]),
)
ASKED = st.fixed_dictionaries(
    {
        "family": st.sampled_from(Baseline),
        "has_source": st.booleans(),
        "slow_workers": st.booleans(),
        "worker_blacklist": st.booleans(),
    }
)


@given(SETTINGS, ASKED, st.integers(2, 20))
def test_one_request_for_many_costs_less_than_many_for_one(
    settings: ImageSettings, asked: dict[str, Any], images: int
) -> None:
    assert quote(settings, images, **asked).total < images * quote(settings, 1, **asked).total


@given(SETTINGS, ASKED, IMAGES, SIDES, SIDES, st.integers(0, 500))
def test_more_pixels_or_steps_are_never_cheaper(
    settings: ImageSettings, asked: dict[str, Any], images: int, width: int, height: int, steps: int
) -> None:
    more = replace(
        settings,
        width=max(settings.width, width),
        height=max(settings.height, height),
        steps=max(settings.steps, steps),
    )
    assert quote(more, images, **asked).total >= quote(settings, images, **asked).total
    assert image_kudos(more) >= image_kudos(settings)


@given(SETTINGS, ASKED, IMAGES)
def test_no_maker_earns_more_than_was_burnt(
    settings: ImageSettings, asked: dict[str, Any], images: int
) -> None:
    price = quote(settings, images, **asked)
    reward = round(image_kudos(settings), 2)
    assert reward <= price.per_image
    for delivered in range(images + 1):
        burnt = burnt_by(delivered, per_image=price.per_image, held=price.total)
        assert reward * delivered <= burnt <= price.total


@given(SETTINGS, ASKED, IMAGES)
def test_asking_for_more_of_a_worker_is_never_cheaper(
    settings: ImageSettings, asked: dict[str, Any], images: int
) -> None:
    plain = quote(settings, images).total
    assert quote(settings, images, **asked).total >= plain
