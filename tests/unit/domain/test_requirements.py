"""What a request's settings and images ask of the worker that makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

import pytest

from domain.images.settings import ImageSettings
from domain.images.source_images import ExtraSourceImage, SourceImages, SourceProcessing
from domain.models.catalogue import Baseline, ModelEntry, OptimalSettings
from domain.models.loras import Lora, TextualInversion
from domain.requests.requirements import requirements_of, with_settings
from domain.requests.specification import RequestSpecification
from domain.workers.matching import Requirements

PLAIN = ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1)
WORKER = UUID(int=1)
IMAGE = SourceImages(SourceProcessing.IMG2IMG, image="0" * 64)


class Catalogue:
    """Three models."""

    _entries: ClassVar[Mapping[str, ModelEntry]] = {
        entry.name: entry
        for entry in (
            ModelEntry(name="big", baseline=Baseline.SDXL),
            ModelEntry(name="flux", baseline=Baseline.FLUX),
            ModelEntry(
                name="quick",
                baseline=Baseline.SD_1,
                optimal=OptimalSettings(steps_min=4, steps_max=10),
            ),
        )
    }

    def entry(self, name: str) -> ModelEntry | None:
        """Return a model."""
        return self._entries.get(name)

    def names(self) -> Collection[str]:
        """Return all names."""
        return tuple(self._entries)


def demands(settings: ImageSettings = PLAIN, **asked: object) -> Requirements:
    """Return the requirements of a request."""
    return requirements_of(settings, **{"models": (), "catalogue": Catalogue(), **asked})  # type: ignore[arg-type]


def test_a_plain_request_asks_for_nothing_special() -> None:
    assert demands() == Requirements((), 512 * 512, False, False, True, False)


@pytest.mark.parametrize(
    ("changed", "asked", "wanted"),
    [
        ({}, {"source": IMAGE}, {"img2img": True}),
        (
            {},
            {"source": replace(IMAGE, processing=SourceProcessing.INPAINTING)},
            {"img2img": True, "painting": True},
        ),
        (
            {},
            {"source": replace(IMAGE, extra=(ExtraSourceImage("1" * 64),))},
            {"img2img": True, "features": ("extra_source_images",)},
        ),
        (
            {"post_processing": ("GFPGAN", "CodeFormers")},
            {},
            {"post_processing": True, "features": ("CodeFormers", "GFPGAN")},
        ),
        ({"control_type": "canny"}, {}, {"controlnet": True}),
        (
            {"control_type": "canny", "return_control_map": True},
            {"models": ("big",)},
            {
                "controlnet": True,
                "sdxl_controlnet": True,
                "models": ("big",),
                "features": ("return_control_map",),
            },
        ),
        ({"loras": (Lora("a"),)}, {}, {"lora": True}),
        (
            {"loras": (Lora("7", is_version=True),)},
            {},
            {"lora": True, "features": ("lora_versions",)},
        ),
        (
            {"tis": (TextualInversion("a"),)},
            {},
            {"lora": True, "features": ("textual_inversion",)},
        ),
        (
            {"hires_fix": True, "tiling": True, "transparent": True, "clip_skip": 2},
            {},
            {"features": ("clip_skip", "hires_fix", "tiling", "transparent")},
        ),
        ({"workflow": "qr_code"}, {}, {"features": ("qr_code",)}),
        ({}, {"models": ("flux",)}, {"models": ("flux",), "features": ("flux",)}),
        ({"steps": 30}, {}, {}),
        ({"steps": 31}, {}, {"many_steps": True}),
        ({"steps": 16, "sampler": "k_heun"}, {}, {"many_steps": True}),
        ({"steps": 7}, {"models": ("quick",)}, {"models": ("quick",)}),
        ({"steps": 8}, {"models": ("quick",)}, {"models": ("quick",), "many_steps": True}),
        ({"steps": 30}, {"models": ("big", "?")}, {"models": ("?", "big")}),
        ({}, {"unsafe_ip": True, "nsfw": True}, {"unsafe_ip": True, "nsfw": True}),
        ({}, {"worker_blacklist": True}, {}),
        (
            {},
            {"workers": (UUID(int=2), UUID(int=1), UUID(int=2)), "worker_blacklist": True},
            {"workers": (UUID(int=1), UUID(int=2)), "worker_blacklist": True},
        ),
    ],
)
def test_what_follows_from_the_settings(
    changed: dict[str, object], asked: dict[str, object], wanted: dict[str, object]
) -> None:
    settings = replace(PLAIN, **changed)  # type: ignore[arg-type]
    assert demands(settings, **asked) == replace(demands(), **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("models", [(), ("quick",), ("big", "flux")])
def test_other_settings_require_what_they_would_have_required_at_first(
    models: tuple[str, ...],
) -> None:
    small = replace(PLAIN, width=256, steps=5)
    large = replace(
        PLAIN,
        steps=60,
        clip_skip=2,
        control_type="canny",
        post_processing=("GFPGAN",),
        loras=(Lora("7", is_version=True),),
    )

    def specification(settings: ImageSettings) -> RequestSpecification:
        requirements = demands(
            settings,
            models=models,
            source=IMAGE,
            nsfw=True,
            trusted_workers=True,
            slow_workers=False,
            extra_slow_workers=True,
            workers=(WORKER,),
            worker_blacklist=True,
            unsafe_ip=True,
        )
        return RequestSpecification("a fox", "", settings, requirements, source=IMAGE)

    for before, after in ((small, large), (large, small)):
        changed = with_settings(specification(before), after, Catalogue())
        assert changed == specification(after)
