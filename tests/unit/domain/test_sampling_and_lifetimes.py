"""Samplers, seeds, lifetimes and image ids: the small rules, on known numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.images.sampling import SEED_RANGE, counted_steps, seed_from_text, seed_of_job
from domain.images.settings import ImageSettings
from domain.jobs.image_ids import batch_index_of, image_ids_of, job_id_from, job_of
from domain.jobs.leases import Lifetimes
from domain.models.catalogue import Baseline

PLAIN = ImageSettings(
    width=1024,
    height=1024,
    steps=10,
    sampler="k_euler",
    cfg_scale=5.0,
    karras=True,
    clip_skip=1,
)
EXTRA_LARGE = ImageSettings(
    width=2048,
    height=2048,
    steps=100,
    sampler="lcm",
    cfg_scale=1.0,
    karras=False,
    clip_skip=1,
)


@pytest.mark.parametrize(
    ("sampler", "steps"), [("k_euler", 30), ("k_heun", 60), ("k_dpm_adaptive", 40), ("lcm", 30)]
)
def test_steps_are_counted_as_the_sampler_runs_them(sampler: str, steps: int) -> None:
    assert counted_steps(sampler, 30) == steps


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("42", 42),
        ("0", 0),
        ("0042", 42),
        (str(SEED_RANGE - 1), SEED_RANGE - 1),
        (str(SEED_RANGE), 1),
        (str(SEED_RANGE + 5), 1),
        ("6687881544318117707", 1557143764),
        (str(7 << 96), 7),
        ("ab", ord("a") + 256 * ord("b")),
        ("The little seed that could", 25708),
        ("same start, other end", ord("d")),
        ("same start, other way", ord("y")),
        ("-1", ord("-") + 256 * ord("1")),
        ("", 0),
    ],
)
def test_a_seed_from_text_is_what_the_incumbent_makes_of_it(text: str, seed: int) -> None:
    assert seed_from_text(text) == seed


@given(st.text())
@example("٣" * 5000)
@example("9" * 5000)
def test_a_seed_from_any_text_is_found_by_shifting_while_it_is_too_large(text: str) -> None:
    """The incumbent's rule, spelt as it spells it."""
    number = (
        int(text)
        if text.isascii() and text.isdigit() and len(text) < 4300
        else int.from_bytes(text.encode(errors="replace"), "little")
    )
    while number >= SEED_RANGE:
        number >>= 32
    assert seed_from_text(text) == number


def test_each_further_job_moves_the_seed_on() -> None:
    assert [seed_of_job(SEED_RANGE - 1, 3, job) for job in range(3)] == [SEED_RANGE - 1, 2, 5]


def test_a_lease_grows_with_the_work_and_never_falls_below_the_minimum() -> None:
    lifetimes = Lifetimes()
    assert lifetimes.lease(PLAIN) == timedelta(seconds=150)
    assert lifetimes.lease(EXTRA_LARGE) == timedelta(seconds=30 + 100 * 2 * 16)
    assert lifetimes.lease(PLAIN, extra_slow_worker=True) == timedelta(seconds=450)


@pytest.mark.parametrize("family", [Baseline.FLUX, Baseline.QWEN, Baseline.Z_IMAGE])
def test_large_models_and_controlnets_have_more_time(family: Baseline) -> None:
    lifetimes, controlled = Lifetimes(), replace(PLAIN, control_type="canny")
    assert lifetimes.lease(PLAIN, family=Baseline.SDXL) == timedelta(seconds=150)
    assert lifetimes.lease(controlled) == timedelta(seconds=300)
    assert lifetimes.lease(PLAIN, family=family) == timedelta(seconds=450)
    slow = lifetimes.lease(controlled, family=family, extra_slow_worker=True)
    assert slow == timedelta(seconds=150 * 2 * 3 * 3)


def test_an_image_id_leads_to_its_job_and_place() -> None:
    job_id = job_id_from(uuid4())
    ids = image_ids_of(job_id, 20)
    assert len(set(ids)) == 20
    assert [batch_index_of(image_id) for image_id in ids] == list(range(20))
    assert {job_of(image_id) for image_id in ids} == {job_id}


def test_an_id_that_no_batch_can_hold_has_no_place_in_one() -> None:
    job_id = job_id_from(uuid4())
    for last_byte in (0, 21, 255):
        assert batch_index_of(UUID(int=job_id.int + last_byte)) >= 20
    with pytest.raises(ValueError, match="no batch"):
        image_ids_of(job_id, 21)
