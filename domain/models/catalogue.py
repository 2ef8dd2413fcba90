"""Models: what the catalogue knows of each, and what follows from a model's name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Baseline(StrEnum):
    """The family of a model, the lightest first; values are spelt as AI Horde's reference does."""

    SD_1 = "stable diffusion 1"
    SD_2_512 = "stable diffusion 2 512"
    SD_2 = "stable diffusion 2"
    SDXL = "stable_diffusion_xl"
    CASCADE = "stable_cascade"
    FLUX = "flux_1"
    Z_IMAGE = "z_image_turbo"
    QWEN = "qwen_image"


class ModelStyle(StrEnum):
    """What a model is made to draw; the names are AI Horde's."""

    GENERALIST = "generalist"
    REALISTIC = "realistic"
    ANIME = "anime"
    ARTISTIC = "artistic"
    FURRY = "furry"
    OTHER = "other"


class UnknownModels(StrEnum):
    """What becomes of models that the catalogue lacks."""

    ALLOW = "allow"
    """Anybody may offer and ask for them; a request for one that no worker has gets a warning."""
    REFUSE = "refuse"
    """AI Horde's rule: only customizers may offer them, only what is offered may be asked for."""


HIGHEST_CFG_SCALE = 100.0
MOST_STEPS = 500
MOST_CLIP_SKIP = 12

_HINTS = {
    "[SDXL]": Baseline.SDXL,
    "[Flux]": Baseline.FLUX,
    "[Qwen]": Baseline.QWEN,
    "[ZModel]": Baseline.Z_IMAGE,
    "[ZImage]": Baseline.Z_IMAGE,
}
"""Parts of names by which the AI Horde recognises the family of a model outside its reference."""

_WEIGHT = {baseline: weight for weight, baseline in enumerate(Baseline)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalSettings:
    """The settings with which a model draws well; None or empty where any do."""

    steps_min: int | None = None
    """Fewest steps, 1 to 500."""
    steps_max: int | None = None
    """Steps beyond which nothing gets better, 1 to 500."""
    cfg_min: float | None = None
    """Lowest guidance, 0 to 100."""
    cfg_max: float | None = None
    """Highest guidance, 0 to 100."""
    samplers: tuple[str, ...] = ()
    """The samplers that suit it, by their v2 names."""
    schedulers: tuple[str, ...] = ()
    """The schedulers that suit it: ``karras`` (the v2 API's ``karras: true``), ``simple``, …"""
    clip_skip: int | None = None
    """The clip skip that it was trained with, 1 to 12."""

    def __post_init__(self) -> None:
        """Check the ranges.

        :raises ValueError: saying which is wrong.
        """
        _in_order("steps", self.steps_min, self.steps_max, lowest=1, highest=MOST_STEPS)
        _in_order("cfg", self.cfg_min, self.cfg_max, lowest=0, highest=HIGHEST_CFG_SCALE)
        _in_order("clip_skip", self.clip_skip, None, lowest=1, highest=MOST_CLIP_SKIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model, and where it comes from."""

    name: str
    """The file's name in the worker's folder of models, without any folder."""
    url: str
    """The https address that it is downloaded from."""
    sha256: str | None = None
    """The file's SHA-256, 64 lower-case hexadecimal digits; None when it is not recorded."""
    type: str = "checkpoint"
    """What it holds: ``checkpoint``, ``unet``, ``text_encoder``, ``vae``, ``stage_b``, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """What the catalogue knows of a model."""

    name: str
    """What requests call it, 1 to 255 characters."""
    baseline: Baseline
    style: ModelStyle = ModelStyle.GENERALIST
    nsfw: bool = False
    """Whether it was made for adult content."""
    description: str = ""
    requires_source: bool = False
    """Whether it only works on a source image, as inpainting and pix2pix models do."""
    optimal: OptimalSettings = field(default_factory=OptimalSettings)
    files: tuple[ModelFile, ...] = ()
    """What a worker has to have; empty for a model that comes with the program."""


class Models(Protocol):
    """The catalogue, as a port: the shipped models and those that the operator added."""

    def entry(self, name: str) -> ModelEntry | None:
        """Return what is known of the model of exactly this name."""

    def names(self) -> Collection[str]:
        """Return the names of all models, in the catalogue's order."""


def baseline_of(name: str, models: Models) -> Baseline:
    """Return a model's family: the catalogue's, else what its name hints at, else SD 1.5's.

    Hints such as ``[SDXL]`` count as they are spelt; both rules are AI Horde's.
    """
    entry = models.entry(name)
    if entry is not None:
        return entry.baseline
    return next((family for hint, family in _HINTS.items() if hint in name), Baseline.SD_1)


def heaviest(names: Iterable[str], models: Models) -> Baseline:
    """Return the heaviest family among these models; that of SD 1.5 when there are none."""
    families = (baseline_of(name, models) for name in names)
    return max(families, key=_WEIGHT.__getitem__, default=Baseline.SD_1)


def known_or_offered(
    asked: Collection[str],
    models: Models,
    *,
    offered: Collection[str],
    unknown: UnknownModels,
) -> bool:
    """Whether a request may name these models; if not, it is refused with ``UnsupportedModel``.

    One that is known, or that a worker offers, is enough: the others merely do not help.

    :param asked: the request's models; empty means any, which is always fine.
    :param offered: the models of the workers that are present.
    """
    if unknown is UnknownModels.ALLOW or not asked:
        return True
    return any(name in offered or models.entry(name) is not None for name in asked)


def offerable(
    names: Iterable[str],
    models: Models,
    *,
    unknown: UnknownModels,
    customizer: bool,
) -> tuple[str, ...]:
    """Return those models that a worker may offer, in the order given.

    None left of some is refused with ``UnsupportedModel``.

    :param customizer: whether its owner may offer models that the catalogue lacks. Workers of the
        installation itself always may.
    """
    if unknown is UnknownModels.ALLOW or customizer:
        return tuple(names)
    return tuple(name for name in names if models.entry(name) is not None)


def _in_order(
    what: str, least: float | None, most: float | None, *, lowest: float, highest: float
) -> None:
    for bound in (least, most):
        if bound is not None and not lowest <= bound <= highest:
            raise ValueError(f"{what}: {bound} is not within {lowest:g} to {highest:g}")
    if least is not None and most is not None and least > most:
        raise ValueError(f"{what}: {least} is above {most}")
