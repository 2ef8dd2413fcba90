"""What is refused of a body, under which return code, and what it defaults to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.http.bodies import read_body
from api.v2.requests.schemas import GenerationInputStable
from api.v2.work.schemas import PopInputStable, SubmitInputStable
from domain.return_codes import Refused


def asked(**fields: Any) -> GenerationInputStable:
    """Read a request for images with these fields."""
    return read_body(GenerationInputStable, json.dumps({"prompt": "a fox", **fields}).encode())


def popped(**fields: Any) -> PopInputStable:
    """Read a pop with these fields."""
    whole = {"name": "worker", "models": ["a model"], **fields}
    return read_body(PopInputStable, json.dumps(whole).encode())


def refusal_of(**fields: Any) -> Refused:
    """Return why a request for images with these fields is refused."""
    with pytest.raises(Refused) as caught:
        asked(**fields)
    return caught.value


def test_only_a_prompt_is_needed() -> None:
    given = asked()
    params = given.params
    assert (params.width, params.height, params.n) == (512, 512, 1)
    assert (params.sampler_name, params.cfg_scale, params.karras) == ("k_euler_a", 5.0, True)
    assert (params.seed, params.seed_variation, params.clip_skip) == (None, 1, 1)
    on = {name for name, value in given if value is True}
    assert on == {"r2", "slow_workers", "validated_backends", "replacement_filter"}


def test_null_means_left_out() -> None:
    assert asked(params=None, models=None, nsfw=None, source_image=None) == asked()
    assert asked(params={"seed": None, "steps": None, "loras": None}) == asked()


def test_unknown_fields_are_ignored() -> None:
    assert asked(something_new=1, params={"another": []}) == asked()


@pytest.mark.parametrize(
    ("fields", "rc"),
    [
        ({"prompt": ""}, "MissingPrompt"),
        ({"prompt": None}, "MissingPrompt"),
        ({"prompt": 5}, "BadRequest"),
        ({"params": {"width": 500}}, "InvalidSize"),
        ({"params": {"height": 0}}, "InvalidSize"),
        ({"params": {"height": -64}}, "InvalidSize"),
        ({"params": {"width": 3136}}, "InvalidSize"),
        ({"params": {"width": "512"}}, "BadRequest"),
        ({"params": {"width": 512.5}}, "BadRequest"),
        ({"params": {"width": True}}, "BadRequest"),
        ({"params": {"steps": 501}}, "TooManySteps"),
        ({"params": {"steps": 0}}, "BadRequest"),
        ({"params": {"n": 0}}, "BadRequest"),
        ({"params": {"n": 21}}, "BadRequest"),
        ({"params": {"n": "2"}}, "BadRequest"),
        ({"params": {"sampler_name": "k_unheard_of"}}, "UnsupportedSampler"),
        ({"params": {"sampler_name": None, "cfg_scale": 101}}, "BadCFGNumber"),
        ({"params": {"cfg_scale": -1}}, "BadCFGNumber"),
        ({"params": {"cfg_scale": float("nan")}}, "BadCFGNumber"),
        ({"params": {"cfg_scale": "high"}}, "BadCFGNumber"),
        ({"params": {"cfg_scale": 7.123}}, "BadCFGDecimals"),
        ({"params": {"clip_skip": 13}}, "BadRequest"),
        ({"params": {"seed": 5}}, "BadRequest"),
        ({"params": {"seed_variation": 1001}}, "BadRequest"),
        ({"params": []}, "BadRequest"),
        ({"nsfw": "yes"}, "BadRequest"),
        ({"nsfw": 1}, "BadRequest"),
        ({"models": "one"}, "BadRequest"),
        ({"models": [""]}, "BadRequest"),
        ({"models": ["m"] * 301}, "BadRequest"),
        ({"workers": ["w"] * 6}, "BadRequest"),
        ({"prompt": "a\0b"}, "NulByteInPayload"),
        ({"params": {"seed": "\0"}}, "NulByteInPayload"),
        ({"models": ["a\0"]}, "NulByteInPayload"),
    ],
)
def test_refusals(fields: dict[str, Any], rc: str) -> None:
    refusal = refusal_of(**fields)
    assert refusal.code.name == rc
    assert refusal.errors
    assert refusal.message


def test_the_errors_name_every_wrong_field_and_repeat_nothing() -> None:
    refusal = refusal_of(prompt=["secret"], params={"width": "secret", "n": 99})
    assert set(refusal.errors) == {"prompt", "params.width", "params.n"}
    assert "secret" not in refusal.message + " ".join(refusal.errors.values())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b"[" * 100_000,
        b'{"prompt": "a", "params": ' + b'{"a":' * 5_000,
        b'{"prompt": "a", "params": {"n": ' + b"9" * 10_000 + b"}}",
        b'{"prompt": "a", "params": {"width": 1e999}}',
    ],
    ids=range(12),
)
def test_what_is_no_such_json_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_body(GenerationInputStable, raw)
    assert caught.value.code.name == "BadRequest"


def test_a_backslash_and_some_text_are_no_nul() -> None:
    given = read_body(GenerationInputStable, rb'{"prompt": "write \\u0000 in C"}')
    assert given.prompt == r"write \u0000 in C"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert asked(params={"steps": 20.0}).params.steps == 20


@pytest.mark.parametrize(
    ("fields", "rc"),
    [
        ({"name": ""}, "BadRequest"),
        ({"name": None}, "BadRequest"),
        ({"name": "n" * 101}, "TooLongWorkerName"),
        ({"models": []}, "UnsupportedModel"),
        ({"models": None}, "UnsupportedModel"),
        ({"models": ["ab"]}, "BadRequest"),
        ({"models": [f"model {i}" for i in range(301)]}, "BadRequest"),
        ({"amount": 0}, "BadRequest"),
        ({"amount": 21}, "BadRequest"),
        ({"threads": 51}, "BadRequest"),
        ({"max_pixels": 4095}, "BadRequest"),
        ({"bridge_agent": "a" * 1001}, "BadRequest"),
        ({"bridge_agent": "a\0"}, "NulByteInPayload"),
    ],
)
def test_refusals_of_workers(fields: dict[str, Any], rc: str) -> None:
    with pytest.raises(Refused) as caught:
        popped(**fields)
    assert caught.value.code.name == rc


def test_a_worker_declares_little_if_it_says_nothing() -> None:
    given = popped()
    assert (given.max_pixels, given.amount, given.threads) == (512 * 512, 1, 1)
    assert {name for name, value in given if value is False} >= {"nsfw", "extra_slow_worker"}


def test_a_worker_bigger_than_the_largest_image_counts_as_that_big() -> None:
    assert popped(max_pixels=2**40).max_pixels == 3072 * 3072


@pytest.mark.parametrize("seed", [[], {}, True])
def test_a_seed_that_is_no_number_and_no_text_is_refused(seed: object) -> None:
    with pytest.raises(Refused) as caught:
        read_body(SubmitInputStable, json.dumps({"id": "x", "seed": seed}).encode())
    assert caught.value.code.name == "BadRequest"
    assert any(field.startswith("seed") for field in caught.value.errors)
