from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.diffusers_batches import (
    ENGINE_MARKS,
    MODEL,
    SCENES,
    Pixels,
    batch_of,
    count_forwards,
    made_pictures,
    make,
    no_progress,
    on_one_thread,
    pixels_of,
)
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.diffusers.samplers import SAMPLERS
from workers.engines.protocol import EngineFailed, Progress

pytestmark = ENGINE_MARKS


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: SCENES}, device="cpu")


def test_importing_the_engine_loads_no_torch() -> None:
    code = (
        "import sys, workers.engines.diffusers.engine;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCENES.parents[2], check=False)
    assert done.returncode == 0


def test_the_engine_says_what_it_is_and_what_it_can_do(engine: DiffusersEngine) -> None:
    assert engine.name == "diffusers"
    assert engine.loaded_model == MODEL
    abilities = engine.abilities()
    assert abilities.models == (MODEL,)
    assert abilities.img2img
    assert abilities.painting
    assert abilities.features == ("clip_skip", "hires_fix", "replication")
    assert not abilities.lora
    assert not abilities.controlnet
    assert not abilities.post_processing


def test_images_come_in_batch_order_and_in_the_size_asked_for(engine: DiffusersEngine) -> None:
    batch = batch_of(3, width=192, height=64)
    made = make(engine, batch)
    assert [image.image_id for image in made.images] == list(batch.image_ids)
    assert [image.batch_index for image in made.images] == [0, 1, 2]
    assert {image.picture.size for image in made.images} == {(192, 64)}


def test_a_batch_says_how_it_was_made(engine: DiffusersEngine) -> None:
    made = make(engine, batch_of(1))
    assert made.engine.startswith("diffusers 0.")
    assert ", torch 2." in made.engine
    assert made.device.startswith("cpu ")
    assert len(made.model_sha256) == 64
    assert made.loras == ()
    assert made.metadata == ()


def test_seeds_and_places_in_the_batch_give_different_images(engine: DiffusersEngine) -> None:
    made = [*made_pictures(engine, batch_of(seed=7)), *made_pictures(engine, batch_of(seed=8))]
    assert len(set(made)) == 4


@pytest.mark.parametrize(("cfg_scale", "rows"), [(1.0, 4), (0.0, 4), (5.0, 8)])
def test_the_whole_batch_passes_the_model_once_per_step(
    engine: DiffusersEngine, cfg_scale: float, rows: int
) -> None:
    batch = batch_of(4, steps=3, cfg_scale=cfg_scale)
    assert count_forwards(engine, lambda: make(engine, batch)) == [rows] * 3


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_v2_sampler_makes_images_and_counts_its_steps(
    engine: DiffusersEngine, sampler: str, steps: int
) -> None:
    told: list[Progress] = []
    batch = batch_of(1, sampler=sampler, steps=steps, width=64, height=64)
    (image,) = engine.generate(batch, told.append).images
    assert image.picture.size == (64, 64)
    assert told == [Progress(step, steps) for step in range(1, steps + 1)]


def test_lcm_takes_more_steps_than_its_teacher_had(engine: DiffusersEngine) -> None:
    told: list[Progress] = []
    engine.generate(batch_of(1, sampler="lcm", steps=55, width=64, height=64), told.append)
    assert told[-1] == Progress(55, 55)


def test_what_progress_raises_stops_the_batch_and_is_passed_on(engine: DiffusersEngine) -> None:
    class LeaseLost(Exception):
        pass

    lost = LeaseLost("a red circle")

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise lost

    def work() -> None:
        with pytest.raises(LeaseLost) as caught:
            engine.generate(batch_of(steps=5), stop)
        assert caught.value is lost

    assert len(count_forwards(engine, work)) == 2


def test_the_prompt_decides_the_picture(engine: DiffusersEngine) -> None:
    def mean_colour(prompt: str) -> Pixels:
        batch = batch_of(2, prompt=prompt, steps=6, width=256, height=256)
        images = [pixels_of(image.picture) for image in make(engine, batch).images]
        colour: Pixels = np.mean(images, axis=(0, 1, 2))
        return colour

    red, blue = mean_colour("a red background"), mean_colour("a blue background")
    assert red[0] > blue[0] + 80
    assert blue[2] > red[2] + 80


def test_the_negative_prompt_matters(engine: DiffusersEngine) -> None:
    plain = made_pictures(engine, batch_of(1))
    assert plain != made_pictures(engine, batch_of(1, negative_prompt="blue"))


def test_layers_of_the_text_encoder_can_be_skipped(engine: DiffusersEngine) -> None:
    plain, skipped, many = (made_pictures(engine, batch_of(1, clip_skip=n)) for n in (1, 2, 12))
    assert plain != skipped
    # More layers than there are means all but the first.
    assert many == made_pictures(engine, batch_of(1, clip_skip=3))


@pytest.mark.parametrize(
    "prompt", ["", "word " * 2000, "猫 🐈 \x00 ﷽ é", "<|endoftext|>", "0", ","]
)
def test_every_text_can_be_a_prompt(
    engine: DiffusersEngine, prompt: str, caplog: pytest.LogCaptureFixture
) -> None:
    batch = batch_of(1, prompt=prompt, negative_prompt=prompt)
    assert len(made_pictures(engine, batch)) == 1
    assert not caplog.records


def test_an_empty_batch_makes_nothing(engine: DiffusersEngine) -> None:
    assert made_pictures(engine, batch_of(0)) == []


def test_failures_say_nothing_of_the_prompt(engine: DiffusersEngine) -> None:
    with pytest.raises(EngineFailed) as caught:
        engine.generate(batch_of(width=100, prompt="a secret"), no_progress)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "another"},
        {"sampler": "k_unknown"},
        {"tiling": True},
        {"transparent": True},
        {"control_type": "canny"},
        {"workflow": "qr_code"},
        {"post_processing": ("GFPGAN",)},
    ],
)
def test_what_the_engine_cannot_do_it_refuses(
    engine: DiffusersEngine, changes: dict[str, Any]
) -> None:
    with pytest.raises(EngineFailed):
        engine.generate(batch_of(**changes), no_progress)


def test_without_a_folder_there_is_no_engine() -> None:
    with pytest.raises(EngineFailed):
        DiffusersEngine({})


@pytest.mark.parametrize(
    "index",
    [
        None,
        "no JSON",
        '{"_class_name": "StableDiffusionPipeline"}',
        '{"_class_name": "NoSuchPipeline"}',
        '{"_class_name": "StableDiffusionUpscalePipeline"}',
        '{"_class_name": "logging"}',
    ],
)
def test_a_folder_without_a_whole_pipeline_is_refused(tmp_path: Path, index: str | None) -> None:
    if index is not None:
        (tmp_path / "model_index.json").write_text(index)
    with pytest.raises(EngineFailed):
        DiffusersEngine({MODEL: tmp_path}, device="cpu")
