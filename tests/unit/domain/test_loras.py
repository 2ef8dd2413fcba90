"""LoRAs: how many, how versions are named, and which of them need few steps."""

from __future__ import annotations

import pytest

from domain.images.compatibility import check_loras, check_textual_inversions
from domain.models.loras import Lora, TextualInversion, is_lcm_lora
from domain.return_codes import Refused


def test_five_loras_are_fine_and_six_are_too_many() -> None:
    check_loras([Lora("one")] * 5)
    with pytest.raises(Refused, match="TooManyLoras"):
        check_loras([Lora("one")] * 6)


def test_twenty_textual_inversions_are_fine_and_21_are_too_many() -> None:
    check_textual_inversions([TextualInversion("one")] * 20)
    with pytest.raises(Refused, match="TooManyTIs"):
        check_textual_inversions([TextualInversion("one")] * 21)


@pytest.mark.parametrize("name", ["v1.0", "Detail Tweaker", " 12", "-1", "1e3", "١٢", "²", ""])
def test_a_version_is_named_by_its_digits(name: str) -> None:
    with pytest.raises(Refused, match="BadLoraVersion") as refused:
        check_loras([Lora("a name"), Lora(name, is_version=True)])
    assert list(refused.value.errors) == ["params.loras.1.name"]


@pytest.mark.parametrize("lora", [Lora("v1.0"), Lora("62833"), Lora("62833", is_version=True)])
def test_names_ids_and_versions_are_fine(lora: Lora) -> None:
    check_loras([lora])


@pytest.mark.parametrize("name", ["195519", "216190", "324115"])
def test_known_lcm_models_are_detected(name: str) -> None:
    assert is_lcm_lora(Lora(name))
    assert not is_lcm_lora(Lora(name, is_version=True))


@pytest.mark.parametrize(
    "name", ["246747", "247778", "268475", "243643", "225222", "219782", "363353"]
)
def test_known_lcm_versions_are_detected(name: str) -> None:
    assert is_lcm_lora(Lora(name, is_version=True))
    assert not is_lcm_lora(Lora(name))


def test_other_loras_are_no_lcm() -> None:
    assert not is_lcm_lora(Lora("lcm"))
