"""Advice on settings: each warning, and silence where nothing is to be gained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline, ModelEntry, OptimalSettings
from domain.models.loras import Lora
from domain.requests.warnings import WarningCode, warnings_for

PLAIN = ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1)


def codes(settings: ImageSettings, *models: ModelEntry) -> set[str]:
    found = warnings_for(settings, models)
    assert all(one.message for one in found)
    assert len({one.code for one in found}) == len(found)
    return {one.code.value for one in found}


def best_with(**optimal: Any) -> ModelEntry:
    return ModelEntry(name="a model", baseline=Baseline.SDXL, optimal=OptimalSettings(**optimal))


@pytest.mark.parametrize(
    ("optimal", "changes", "warned"),
    [
        ({}, {}, None),
        ({"clip_skip": 2}, {}, "ClipSkipMismatch"),
        ({"clip_skip": 2}, {"clip_skip": 2}, None),
        ({"steps_min": 21}, {}, "StepsTooFew"),
        ({"steps_min": 20}, {}, None),
        ({"steps_max": 19}, {}, "StepsTooMany"),
        ({"steps_max": 20}, {}, None),
        ({"cfg_min": 2, "cfg_max": 2}, {}, "CfgScaleMismatch"),
        ({"cfg_min": 5, "cfg_max": 5}, {}, None),
        ({"cfg_min": 6}, {}, "CfgScaleTooSmall"),
        ({"cfg_min": 6, "cfg_max": 8}, {}, "CfgScaleTooSmall"),
        ({"cfg_max": 4}, {}, "CfgScaleTooLarge"),
        ({"cfg_min": 1, "cfg_max": 4}, {}, "CfgScaleTooLarge"),
        ({"cfg_min": 5, "cfg_max": 8}, {}, None),
        ({"samplers": ("k_dpmpp_sde", "k_euler_a")}, {}, "SamplerMismatch"),
        ({"samplers": ("k_euler",)}, {}, None),
        ({"schedulers": ("simple",)}, {}, "SchedulerMismatch"),
        ({"schedulers": ("simple",)}, {"karras": False}, None),
        ({"schedulers": ("karras",)}, {"karras": False}, "SchedulerMismatch"),
    ],
)
def test_a_models_best_settings(
    optimal: dict[str, Any], changes: dict[str, Any], warned: str | None
) -> None:
    expected = set() if warned is None else {warned}
    assert codes(replace(PLAIN, **changes), best_with(**optimal)) == expected


LCM = replace(PLAIN, sampler="lcm", steps=8, cfg_scale=1.5)


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, set()),
        ({"steps": 10, "cfg_scale": 2.0}, set()),
        ({"steps": 11}, {"StepsTooMany"}),
        ({"cfg_scale": 5.0}, {"CfgScaleTooLarge"}),
        ({"sampler": "k_euler", "loras": (Lora("216190"),)}, {"SamplerMismatch"}),
        ({"sampler": "k_euler", "loras": (Lora("225222", is_version=True),)}, {"SamplerMismatch"}),
        (
            {"sampler": "k_euler_a", "loras": (Lora("324115"),), "steps": 30, "cfg_scale": 7.0},
            {"SamplerMismatch", "StepsTooMany", "CfgScaleTooLarge"},
        ),
        ({"sampler": "k_euler", "loras": (Lora("225222"),)}, set()),
    ],
)
def test_lcm(changes: dict[str, Any], warned: set[str]) -> None:
    assert codes(replace(LCM, **changes)) == warned


def test_an_lcm_is_not_judged_by_what_its_model_usually_needs() -> None:
    usual = best_with(steps_min=20, cfg_min=5, samplers=("k_euler",), clip_skip=2)
    assert codes(LCM, usual) == {"ClipSkipMismatch"}


def test_many_models_warn_of_each_thing_once() -> None:
    first, second = best_with(steps_max=10), best_with(steps_max=15)
    (only,) = warnings_for(PLAIN, [first, second])
    assert only.code is WarningCode.STEPS_TOO_MANY
    assert "10 steps" in only.message
