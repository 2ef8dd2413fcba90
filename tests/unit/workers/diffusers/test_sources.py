from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from domain.images.source_images import SourceProcessing
from tests.diffusers_batches import (
    ENGINE_MARKS,
    MODEL,
    SCENES,
    batch_of,
    count_forwards,
    distance,
    made_pictures,
    make,
    no_progress,
    on_one_thread,
    pixels_of,
    png_of,
)
from workers.engines.comfyui.images import prepare
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.diffusers.samplers import SAMPLERS
from workers.engines.diffusers.sources import read_canvas
from workers.engines.protocol import EngineFailed, Progress, Source

pytestmark = ENGINE_MARKS

BLUE = (40, 80, 200)
RED = (220, 40, 30)


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: SCENES}, device="cpu")


def scene(size: tuple[int, int] = (128, 128)) -> Image.Image:
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (40, 40, 90, 90))
    return picture


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_what_is_transparent_is_the_same_in_both_engines(alpha: int) -> None:
    picture = scene().convert("RGBA")
    picture.putalpha(alpha)
    source = Source(SourceProcessing.IMG2IMG, image=png_of(picture))
    canvas = read_canvas(source, 128, 128)
    assert canvas is not None
    prepared = prepare(source, width=128, height=128)
    assert prepared is not None
    with Image.open(io.BytesIO(prepared.image)) as theirs:
        assert theirs.tobytes() == canvas.image.tobytes()


def right_half(size: tuple[int, int] = (128, 128)) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, (size[0] // 2, 0, *size))
    return mask


def with_hole(picture: Image.Image) -> Image.Image:
    seen = picture.convert("RGBA")
    seen.putalpha(right_half(picture.size).point(lambda level: 255 - level))
    return seen


def source(
    processing: SourceProcessing, image: Image.Image, mask: Image.Image | None = None
) -> Source:
    return Source(processing, png_of(image), None if mask is None else png_of(mask))


IMAGE = source(SourceProcessing.IMG2IMG, scene())
MASKED = source(SourceProcessing.INPAINTING, scene(), right_half())
HOLED = source(SourceProcessing.INPAINTING, with_hole(scene()))
OUTWARD = source(SourceProcessing.OUTPAINTING, with_hole(scene()))


def test_the_strength_says_how_much_of_an_image_stays(engine: DiffusersEngine) -> None:
    def moved(strength: float) -> float:
        prompt = "a yellow background"
        batch = batch_of(1, source=IMAGE, denoising_strength=strength, steps=4, prompt=prompt)
        return distance(make(engine, batch).images[0].picture, scene())

    little, much = moved(0.1), moved(1.0)
    assert little < 30
    assert much > 100


def test_images_of_one_source_differ_by_place_and_seed(engine: DiffusersEngine) -> None:
    batches = [batch_of(2, source=IMAGE, seed=seed) for seed in (1, 2)]
    assert len({picture for batch in batches for picture in made_pictures(engine, batch)}) == 4


@pytest.mark.parametrize("given", [IMAGE, MASKED], ids=["image", "painting"])
@pytest.mark.parametrize("strength", [0.05, 0.5, 1.0])
def test_a_source_takes_all_steps_for_the_whole_batch_at_once(
    engine: DiffusersEngine, given: Source, strength: float
) -> None:
    told: list[Progress] = []
    batch = batch_of(4, source=given, denoising_strength=strength, steps=3, width=64, height=64)
    rows = count_forwards(engine, lambda: engine.generate(batch, told.append))
    assert rows == [8] * 3
    assert told == [Progress(step, 3) for step in (1, 2, 3)]


@pytest.mark.parametrize("given", [IMAGE, MASKED], ids=["image", "painting"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_starts_from_images(
    engine: DiffusersEngine, sampler: str, given: Source
) -> None:
    told: list[Progress] = []
    batch = batch_of(
        1, source=given, sampler=sampler, steps=4, denoising_strength=0.6, width=64, height=64
    )
    (image,) = engine.generate(batch, told.append).images
    assert image.picture.size == (64, 64)
    assert told == [Progress(step, 4) for step in (1, 2, 3, 4)]


@pytest.mark.parametrize("given", [MASKED, HOLED, OUTWARD], ids=["mask", "alpha", "outpainting"])
def test_what_is_black_or_opaque_stays_to_the_bit(engine: DiffusersEngine, given: Source) -> None:
    batch = batch_of(2, source=given, prompt="a yellow background", steps=4)
    for image in make(engine, batch).images:
        pixels, before = pixels_of(image.picture), pixels_of(scene())
        assert np.array_equal(pixels[:, :64], before[:, :64])
        assert np.abs(pixels[:, 64:] - before[:, 64:]).mean() > 20


def test_what_stays_shapes_what_is_drawn_beside_it(engine: DiffusersEngine) -> None:
    def drawn(colour: tuple[int, int, int]) -> Any:
        ground = Image.new("RGB", (256, 256), colour)
        mask = Image.new("L", (256, 256), 0)
        mask.paste(255, (96, 96, 160, 160))
        batch = batch_of(
            4,
            source=source(SourceProcessing.INPAINTING, ground, mask),
            prompt="",
            width=256,
            height=256,
            steps=6,
        )
        made = [pixels_of(image.picture) for image in make(engine, batch).images]
        return np.mean(made, axis=0)[96:160, 96:160].mean(axis=(0, 1))

    beside_red, beside_blue = drawn(RED), drawn(BLUE)
    assert beside_red[0] > beside_blue[0] + 30
    assert beside_blue[2] > beside_red[2] + 30


def test_an_image_is_brought_to_the_size_asked_for() -> None:
    wide = Image.new("RGB", (300, 100), RED)
    wide.paste(BLUE, (0, 0, 99, 100))
    canvas = read_canvas(source(SourceProcessing.IMG2IMG, wide), 64, 64)
    assert canvas is not None
    assert canvas.mask is None
    assert canvas.image.size == (64, 64)
    assert canvas.image.getpixel((32, 32)) == RED


def test_a_mask_of_another_size_covers_the_same_part() -> None:
    given = source(SourceProcessing.INPAINTING, scene(), right_half((32, 32)))
    canvas = read_canvas(given, 128, 128)
    assert canvas is not None
    assert canvas.mask is not None
    assert canvas.mask.getpixel((40, 64)) == 0
    assert canvas.mask.getpixel((90, 64)) == 255


def test_a_mask_means_nothing_where_the_whole_image_is_drawn_anew() -> None:
    canvas = read_canvas(source(SourceProcessing.IMG2IMG, scene(), right_half()), 128, 128)
    assert canvas is not None
    assert canvas.mask is None


def test_holes_are_filled_with_the_colours_around_them() -> None:
    ground = Image.new("RGBA", (128, 128), (*RED, 255))
    ground.paste((0, 0, 0, 0), (48, 48, 80, 80))
    canvas = read_canvas(source(SourceProcessing.INPAINTING, ground), 128, 128)
    assert canvas is not None
    middle = pixels_of(canvas.image)[64, 64]
    assert np.abs(middle - RED).max() < 6


def test_an_image_to_go_beyond_stands_in_the_middle() -> None:
    small = Image.new("RGB", (64, 64), RED)
    canvas = read_canvas(source(SourceProcessing.OUTPAINTING, small), 192, 128)
    assert canvas is not None
    assert canvas.mask is not None
    assert canvas.mask.point(lambda level: 255 - level).getbbox() == (64, 32, 128, 96)
    assert canvas.image.getpixel((96, 64)) == RED


def test_an_image_that_fills_the_canvas_is_drawn_anew_as_a_whole() -> None:
    canvas = read_canvas(source(SourceProcessing.OUTPAINTING, scene()), 64, 64)
    assert canvas is not None
    assert canvas.mask is None


def test_a_source_without_an_image_means_text_alone(engine: DiffusersEngine) -> None:
    plain = made_pictures(engine, batch_of(1))
    assert made_pictures(engine, batch_of(1, source=Source(SourceProcessing.IMG2IMG))) == plain


@pytest.mark.parametrize(
    "given",
    [
        Source(SourceProcessing.IMG2IMG, b"no image"),
        Source(SourceProcessing.IMG2IMG, png_of(scene())[:200]),
        Source(SourceProcessing.INPAINTING, png_of(scene()), b"no mask"),
        source(SourceProcessing.REMIX, scene()),
    ],
    ids=["no image", "half an image", "no mask", "remix"],
)
def test_sources_that_cannot_be_used_are_refused(engine: DiffusersEngine, given: Source) -> None:
    with pytest.raises(EngineFailed):
        engine.generate(batch_of(1, source=given), no_progress)
