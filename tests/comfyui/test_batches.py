"""Batches of every kind through a real ComfyUI: all images at once, and each its own."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from PIL import Image

from domain.images.provenance import LoraIdentity
from domain.images.source_images import SourceProcessing
from domain.models.loras import Lora
from tests.comfyui.batches import STEPS, a_batch, make, pictures_of, unheard
from tests.comfyui.checkpoint import NAME
from tests.comfyui.conftest import NEWER, OLDER, PublishedLora
from tests.comfyui.pictures import (
    CLEARLY,
    are_all_different,
    digest,
    largest_difference,
    mean_difference,
    png,
    tiles,
)
from tests.comfyui.server import ComfyUIServer
from workers.engines.comfyui.engine import ComfyUIEngine
from workers.engines.protocol import Progress, Source

SKY, SAND = (90, 140, 220), (210, 190, 120)
PALE, DARK = (230, 230, 230), (30, 40, 50)


def landscape(upper: tuple[int, int, int] = SKY, lower: tuple[int, int, int] = SAND) -> Image.Image:
    return tiles([[upper] * 8] * 4 + [[lower] * 8] * 4)


def test_it_offers_the_checkpoint_and_what_the_nodes_can_do(engine: ComfyUIEngine) -> None:
    abilities = engine.abilities()

    assert NAME in abilities.models
    assert abilities.img2img
    assert abilities.painting
    assert abilities.lora
    assert not abilities.controlnet


def test_a_batch_of_eight_is_one_pass_for_each_step(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    told: list[Progress] = []
    batch = a_batch(8)

    made = engine.generate(batch, told.append)

    assert comfyui.passes() == [8] * STEPS
    assert told == [Progress(step, STEPS) for step in range(1, STEPS + 1)]
    assert tuple(image.image_id for image in made.images) == batch.image_ids
    assert [image.batch_index for image in made.images] == list(range(8))
    assert are_all_different(pictures_of(made))
    assert made.engine.startswith("ComfyUI 0.3.75")
    assert made.device.startswith("cpu")
    assert engine.loaded_model == NAME
    (file,) = comfyui.models("checkpoints").glob(f"{NAME}.*")
    assert made.model_sha256 == sha256(file.read_bytes()).hexdigest()
    assert "clip missing" not in comfyui.log()
    assert "unet missing" not in comfyui.log()


def test_with_guidance_both_halves_go_through_together(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    pictures = make(engine, a_batch(4, sampler="k_euler", karras=True, cfg_scale=4.0))

    assert comfyui.passes() == [2 * 4] * STEPS
    assert are_all_different(pictures)


def test_another_seed_gives_other_images_and_so_does_another_prompt(engine: ComfyUIEngine) -> None:
    first = make(engine, a_batch(2, seed=1))
    other_seed = make(engine, a_batch(2, seed=2))
    other_prompt = make(engine, a_batch(2, seed=1, prompt="a castle at night"))
    again = make(engine, a_batch(2, seed=1))

    assert are_all_different([*first, *other_seed])
    for one, other in zip(first, other_prompt, strict=True):
        assert mean_difference(one, other) > CLEARLY / 2
    assert [digest(each) for each in first] == [digest(each) for each in again]


def test_what_a_batch_leaves_behind_is_deleted(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    make(engine, a_batch(2, source=Source(SourceProcessing.IMG2IMG, png(landscape()))))

    left = [path for place in ("output", "temp") for path in (comfyui.base / place).rglob("*.png")]
    assert left == []
    assert "lighthouse" not in comfyui.log()


def test_img2img_starts_all_images_from_the_source(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    source = landscape(PALE, DARK)
    wanted: dict[str, Any] = {"sampler": "k_euler", "denoising_strength": 0.3}
    batch = a_batch(4, source=Source(SourceProcessing.IMG2IMG, png(source)), **wanted)

    pictures = make(engine, batch)

    assert comfyui.passes() == [4] * STEPS
    assert len({digest(each) for each in pictures}) == 4
    upside_down = source.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    for picture in pictures:
        assert mean_difference(picture, source) > 1
        assert mean_difference(picture, source) < mean_difference(picture, upside_down) / 2


@pytest.mark.parametrize("strength", [None, 0.8])
def test_inpainting_leaves_what_the_mask_leaves_out(
    engine: ComfyUIEngine, comfyui: ComfyUIServer, strength: float | None
) -> None:
    source = landscape()
    mask = tiles([[(0, 0, 0)] * 4 + [(255, 255, 255)] * 4] * 8)
    painted = Source(SourceProcessing.INPAINTING, png(source), png(mask))

    pictures = make(engine, a_batch(4, source=painted, denoising_strength=strength))

    assert comfyui.passes() == [4] * STEPS
    left, right = (0, 0, 32, 64), (32, 0, 64, 64)
    assert are_all_different([each.crop(right) for each in pictures])
    for picture in pictures:
        assert largest_difference(picture.crop(left), source.crop(left)) <= 2
        assert mean_difference(picture.crop(right), source.crop(right)) > CLEARLY


def test_without_a_mask_the_transparent_part_is_painted(engine: ComfyUIEngine) -> None:
    source = landscape()
    alpha = Image.fromarray(np.repeat([[255] * 32 + [0] * 32], 64, axis=0).astype(np.uint8))
    holed = source.copy()
    holed.putalpha(alpha)

    pictures = make(engine, a_batch(2, source=Source(SourceProcessing.INPAINTING, png(holed))))

    for picture in pictures:
        left, right = (0, 0, 32, 64), (32, 0, 64, 64)
        assert largest_difference(picture.crop(left), source.crop(left)) <= 2
        assert mean_difference(picture.crop(right), source.crop(right)) > CLEARLY


def test_a_lora_is_loaded_in_exactly_the_version_asked_for(
    engine: ComfyUIEngine, comfyui: ComfyUIServer, lora: PublishedLora
) -> None:
    plain = make(engine, a_batch(4))
    comfyui.passes()

    older = engine.generate(a_batch(4, loras=(Lora(f"{OLDER}", is_version=True),)), unheard)
    assert comfyui.passes() == [4] * STEPS
    newer = engine.generate(a_batch(4, loras=(Lora(f"{NEWER}", is_version=True),)), unheard)
    again = engine.generate(a_batch(4, loras=(Lora(f"{OLDER}", is_version=True),)), unheard)

    for made, version_id in ((older, OLDER), (newer, NEWER), (again, OLDER)):
        file = lora.downloads[version_id].data
        assert made.loras == (LoraIdentity(f"{version_id}", sha256(file).hexdigest()),)
        assert made.metadata == ()
    for three in zip(plain, pictures_of(older), pictures_of(newer), strict=True):
        assert are_all_different(list(three))
    assert list(map(digest, pictures_of(older))) == list(map(digest, pictures_of(again)))
    assert {each: len(lora.downloads[each].asked) for each in (OLDER, NEWER)} == {
        OLDER: 1,
        NEWER: 1,
    }
