"""Models: families, hints in names, and which names may be offered and asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from domain.models.catalogue import (
    Baseline,
    ModelEntry,
    OptimalSettings,
    UnknownModels,
    baseline_of,
    heaviest,
    known_or_offered,
    offerable,
)


class Shelf:
    """A catalogue of a few models."""

    def __init__(self, families: Mapping[str, Baseline]) -> None:
        self._families = families

    def entry(self, name: str) -> ModelEntry | None:
        family = self._families.get(name)
        return None if family is None else ModelEntry(name=name, baseline=family)

    def names(self) -> Collection[str]:
        return self._families.keys()


SHELF = Shelf(
    {
        "AlbedoBase XL (SDXL)": Baseline.SDXL,
        "Deliberate": Baseline.SD_1,
        "Odd [Flux]": Baseline.SD_2,
        "Qwen-Image_fp8": Baseline.QWEN,
    }
)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("AlbedoBase XL (SDXL)", Baseline.SDXL),
        ("albedobase xl (sdxl)", Baseline.SD_1),
        ("Odd [Flux]", Baseline.SD_2),
        ("Mine [SDXL]", Baseline.SDXL),
        ("[Flux] mine", Baseline.FLUX),
        ("mine[Qwen]", Baseline.QWEN),
        ("Mine [ZModel]", Baseline.Z_IMAGE),
        ("Mine [ZImage]", Baseline.Z_IMAGE),
        ("Mine [sdxl]", Baseline.SD_1),
        ("Mine SDXL", Baseline.SD_1),
        ("", Baseline.SD_1),
    ],
)
def test_a_family_is_the_catalogue_s_or_what_the_name_hints_at(name: str, family: Baseline) -> None:
    assert baseline_of(name, SHELF) is family


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ((), Baseline.SD_1),
        (("Deliberate", "x [Flux]", "AlbedoBase XL (SDXL)"), Baseline.FLUX),
        (("x [ZImage]", "Qwen-Image_fp8"), Baseline.QWEN),
        (("x [ZImage]", "x [Flux]"), Baseline.Z_IMAGE),
    ],
)
def test_the_heaviest_family_counts(names: tuple[str, ...], family: Baseline) -> None:
    assert heaviest(names, SHELF) is family


REFUSE, ALLOW = UnknownModels.REFUSE, UnknownModels.ALLOW


@pytest.mark.parametrize(
    ("asked", "unknown", "may"),
    [
        ((), REFUSE, True),
        (("Deliberate",), REFUSE, True),
        (("unheard of",), REFUSE, False),
        (("unheard of",), ALLOW, True),
        (("offered",), REFUSE, True),
        (("unheard of", "Deliberate"), REFUSE, True),
        (("deliberate",), REFUSE, False),
    ],
)
def test_a_request_may_name_what_is_known_or_offered(
    asked: tuple[str, ...], unknown: UnknownModels, may: bool
) -> None:
    assert known_or_offered(asked, SHELF, offered={"offered"}, unknown=unknown) is may


@pytest.mark.parametrize(
    ("unknown", "customizer", "left"),
    [
        (REFUSE, False, ("Deliberate",)),
        (REFUSE, True, ("mine", "Deliberate")),
        (ALLOW, False, ("mine", "Deliberate")),
    ],
)
def test_a_worker_may_offer_what_is_known(
    unknown: UnknownModels, customizer: bool, left: tuple[str, ...]
) -> None:
    names = ("mine", "Deliberate")
    assert offerable(names, SHELF, unknown=unknown, customizer=customizer) == left


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps_min": 0},
        {"steps_max": 501},
        {"steps_min": 9, "steps_max": 8},
        {"cfg_min": -0.1},
        {"cfg_max": 100.5},
        {"cfg_min": 3, "cfg_max": 2.5},
        {"clip_skip": 13},
    ],
    ids=str,
)
def test_optimal_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_")[0]):
        OptimalSettings(**wrong)
