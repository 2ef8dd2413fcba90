"""A real ComfyUI that is stopped, killed, out of memory, or asked for what it does not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.models.loras import Lora
from infrastructure.models.catalogue import ModelCatalogue
from tests.comfyui.batches import PROMPT, STEPS, a_batch, make, unheard
from tests.comfyui.checkpoint import NAME
from tests.comfyui.conftest import PublishedLora
from tests.comfyui.pictures import are_all_different, digest
from tests.comfyui.server import ComfyUIServer
from tests.waiting import wait_until
from workers.engines.comfyui.engine import ComfyUIEngine
from workers.engines.comfyui.execution import Execution
from workers.engines.protocol import EngineAway, EngineFailed, OutOfMemory, Progress
from workers.models.checkpoints import ComfyUIModelFiles
from workers.models.hashes import HashCache

GONE = "gone"


class Cancelled(Exception):
    """What a worker raises in the engine's face when its lease is lost."""


def cancel(progress: Progress) -> None:
    assert progress.step == 1
    raise Cancelled


def test_a_batch_that_is_cancelled_stops_and_the_next_one_works(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    with pytest.raises(Cancelled):
        engine.generate(a_batch(8, steps=200), cancel)

    assert comfyui.is_idle()
    # A step or two more were taken until ComfyUI heard of it.
    assert 1 <= len(comfyui.passes()) < 100
    assert are_all_different(make(engine, a_batch(2)))


def test_when_comfyui_is_killed_the_batch_fails_and_the_engine_recovers(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    def kill(progress: Progress) -> None:
        assert progress.step == 1
        comfyui.kill()

    with pytest.raises(EngineAway):
        engine.generate(a_batch(4, steps=50), kill)
    with pytest.raises(EngineAway):
        engine.abilities()
    with pytest.raises(EngineAway):
        engine.generate(a_batch(4), unheard)
    assert engine.loaded_model is None

    comfyui.start()
    assert NAME in engine.abilities().models
    assert are_all_different(make(engine, a_batch(4)))


def test_a_batch_too_large_for_the_gpu_is_out_of_memory_and_a_smaller_one_works(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    with comfyui.memory_for(rows=4):
        with pytest.raises(OutOfMemory) as failed:
            engine.generate(a_batch(8), unheard)

        assert len(make(engine, a_batch(4))) == 4
    assert PROMPT not in str(failed.value)


def test_a_batch_too_large_for_the_machine_is_out_of_memory(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    make(engine, a_batch(1))

    with comfyui.no_more_memory_than(mib=600), pytest.raises(OutOfMemory):
        engine.generate(a_batch(20, width=1024, height=1024), unheard)

    assert are_all_different(make(engine, a_batch(2)))


@pytest.fixture
def engine_that_knows_more(comfyui: ComfyUIServer, tmp_path: Path) -> Iterator[ComfyUIEngine]:
    """An engine whose list of files is not ComfyUI's."""
    elsewhere = tmp_path / "models" / "checkpoints"
    elsewhere.mkdir(parents=True)
    (elsewhere / f"{GONE}.safetensors").symlink_to(
        comfyui.models("checkpoints") / f"{NAME}.safetensors"
    )
    files = ComfyUIModelFiles(
        tmp_path, ModelCatalogue.in_folder(tmp_path), HashCache(tmp_path / "hashes.json")
    )
    with closing(ComfyUIEngine(comfyui.url, files)) as made:
        yield made


def test_a_graph_that_comfyui_rejects_fails_and_the_reason_holds_no_prompt(
    engine_that_knows_more: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    place = comfyui.models("checkpoints") / f"{GONE}.safetensors"
    os.link(comfyui.models("checkpoints") / f"{NAME}.safetensors", place)
    assert engine_that_knows_more.abilities().models == (GONE,)
    place.unlink()

    with pytest.raises(EngineFailed, match="CheckpointLoaderSimple") as failed:
        engine_that_knows_more.generate(a_batch(2, model=GONE), unheard)

    assert not isinstance(failed.value, EngineAway | OutOfMemory)
    assert PROMPT not in str(failed.value)
    assert comfyui.passes() == []
    assert comfyui.is_idle()


def test_a_model_that_is_not_there_fails(engine: ComfyUIEngine) -> None:
    with pytest.raises(EngineFailed, match="does not have the model"):
        engine.generate(a_batch(1, model="never heard of"), unheard)


def test_a_lora_that_cannot_be_had_is_left_out_and_said(
    engine: ComfyUIEngine, lora: PublishedLora
) -> None:
    lora.server.status = 500

    made = engine.generate(a_batch(1, loras=(Lora("4242", is_version=True),)), unheard)

    assert made.loras == ()
    ((kind, value, ref),) = [(word.type, word.value, word.ref) for word in made.metadata]
    assert (kind, value, ref) == ("lora", "download_failed", "4242")


def test_the_batch_of_a_worker_that_was_killed_is_stopped_by_the_next_of_its_name(
    comfyui: ComfyUIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ComfyUIModelFiles(
        comfyui.base, ModelCatalogue.in_folder(tmp_path), HashCache(comfyui.base / "hashes.json")
    )
    # A process that is killed stops nothing and tells nobody.
    with (
        monkeypatch.context() as killed,
        closing(ComfyUIEngine(comfyui.url, files, owner="worker 1")) as engine,
    ):
        killed.setattr(Execution, "_stop", lambda *_: None)
        with pytest.raises(Cancelled):
            engine.generate(a_batch(8, steps=200), cancel)
    assert not comfyui.is_idle()

    with closing(ComfyUIEngine(comfyui.url, files, owner="worker 1")) as next_engine:
        pictures = make(next_engine, a_batch(2))

    assert are_all_different(pictures)
    assert len(comfyui.passes()) < 100


def test_somebody_elses_images_are_neither_taken_nor_deleted(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    expected = [digest(picture) for picture in make(engine, a_batch(2))]
    others = [comfyui.queue_plain_images(2) for _ in range(3)]

    made = engine.generate(a_batch(2), lambda _: others.append(comfyui.queue_plain_images(2)))

    assert [digest(image.picture) for image in made.images] == expected
    wait_until(comfyui.is_idle, "the others' images to be made")
    assert len(others) == 3 + STEPS
    assert all(len(comfyui.saved_by(each)) == 2 for each in others)
    assert all(file.exists() for each in others for file in comfyui.saved_by(each))
