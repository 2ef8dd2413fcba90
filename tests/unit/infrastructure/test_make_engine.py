"""Which engine the settings name, and where its LoRAs come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.models.catalogue import ModelCatalogue
from infrastructure.outbound.guard import Outbound
from infrastructure.processes.engine_factory import Supplies, make_engine
from infrastructure.settings.environment import Settings
from tests.diffusers_batches import ENGINE_MARKS
from workers.engines.protocol import EngineAway

pytestmark = ENGINE_MARKS


@pytest.fixture
def supplies(tmp_path: Path) -> Iterator[Supplies]:
    outbound = Outbound()
    yield Supplies(ModelCatalogue.in_folder(tmp_path), outbound)
    outbound.close()


def test_the_default_serves_the_shipped_pipeline_without_loras(
    tmp_path: Path, supplies: Supplies
) -> None:
    engine = make_engine(Settings(data=tmp_path), supplies)
    abilities = engine.abilities()
    assert engine.name == "diffusers"
    assert abilities.models == ("Hoard Scenes",)
    assert not abilities.lora
    engine.close()


def test_with_somewhere_to_get_loras_from_they_are_served(
    tmp_path: Path, supplies: Supplies
) -> None:
    settings = Settings(data=tmp_path, worker_lora_folder=tmp_path / "loras")
    engine = make_engine(settings, supplies)
    assert engine.abilities().lora
    engine.close()


def test_a_comfyui_that_does_not_run_yet_is_away(tmp_path: Path, supplies: Supplies) -> None:
    settings = Settings(
        data=tmp_path,
        worker_engine="comfyui",
        worker_comfyui_url="http://127.0.0.1:9",
        worker_comfyui_folder=tmp_path,
    )
    engine = make_engine(settings, supplies)
    assert engine.name == "comfyui"
    with pytest.raises(EngineAway):
        engine.abilities()
    engine.close()
