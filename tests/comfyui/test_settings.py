"""What else settings ask for, drawn by a real ComfyUI."""

from __future__ import annotations

import pytest
from PIL import Image

from domain.images.post_processing import UPSCALERS
from domain.images.source_images import SourceProcessing
from domain.models.loras import InjectionTarget, Lora, TextualInversion
from tests.comfyui.batches import PROMPT, STEPS, a_batch, make, unheard
from tests.comfyui.conftest import EMBEDDING, OLDER, TRIGGER, UPSCALER
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

RED, BLUE = (200, 60, 50), (40, 70, 190)
PALE, DARK = (240, 240, 240), (10, 10, 10)
UPRIGHT = [[PALE] * 4 + [DARK] * 4] * 8
LYING = [[PALE] * 8] * 4 + [[DARK] * 8] * 4
PLAIN = [[PALE] * 8] * 8


def edges(colours: list[list[tuple[int, int, int]]]) -> Source:
    return Source(SourceProcessing.IMG2IMG, png(tiles(colours)))


def test_clip_skip_changes_what_the_prompt_means(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    pictures = [make(engine, a_batch(1, clip_skip=skip))[0] for skip in (1, 2)]

    assert digest(pictures[0]) != digest(pictures[1])
    assert mean_difference(*pictures) > 2
    assert comfyui.passes() == [1] * STEPS * 2


def test_a_trigger_word_is_written_into_the_prompt(engine: ComfyUIEngine) -> None:
    def with_lora(prompt: str, trigger: str | None) -> str:
        lora = Lora(f"{OLDER}", is_version=True, inject_trigger=trigger)
        return digest(make(engine, a_batch(1, prompt=prompt, loras=(lora,)))[0])

    assert with_lora(PROMPT, "any") == with_lora(f"{PROMPT}, {TRIGGER}", None)
    assert with_lora(PROMPT, "any") != with_lora(PROMPT, None)


def test_the_strength_of_a_lora_counts(engine: ComfyUIEngine) -> None:
    plain, none, full = (
        make(engine, a_batch(1, loras=loras))[0]
        for loras in (
            (),
            (Lora(f"{OLDER}", model=0.0, clip=0.0, is_version=True),),
            (Lora(f"{OLDER}", model=1.0, clip=1.0, is_version=True),),
        )
    )

    assert largest_difference(plain, none) <= 1
    assert mean_difference(plain, full) > CLEARLY


@pytest.mark.parametrize("place", [InjectionTarget.PROMPT, InjectionTarget.NEGATIVE_PROMPT])
def test_a_textual_inversion_is_put_where_it_is_asked_for(
    engine: ComfyUIEngine, place: InjectionTarget
) -> None:
    inversion = TextualInversion(EMBEDDING, inject_ti=place)
    plain, changed = (
        make(engine, a_batch(1, cfg_scale=3.0, tis=tis))[0] for tis in ((), (inversion,))
    )

    assert mean_difference(plain, changed) > 2


def test_a_textual_inversion_that_is_not_there_is_left_out_and_said(engine: ComfyUIEngine) -> None:
    made = engine.generate(a_batch(1, tis=(TextualInversion("4243"),)), unheard)

    assert [(word.type, word.value, word.ref) for word in made.words] == [
        ("ti", "download_failed", "4243")
    ]


def test_an_upscaler_that_is_installed_is_offered_and_enlarges_every_image(
    engine: ComfyUIEngine,
) -> None:
    abilities = engine.abilities()
    assert set(UPSCALERS) & set(abilities.features) == {UPSCALER}

    small = make(engine, a_batch(2))
    large = make(engine, a_batch(2, post_processing=(UPSCALER,)))

    for one, other in zip(small, large, strict=True):
        assert other.size == (256, 256)
        assert largest_difference(other.resize((64, 64), Image.Resampling.BOX), one) <= 2


def test_outpainting_paints_what_is_transparent(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    middle = tiles([[RED, BLUE] * 2] * 4)
    around = Image.new("RGBA", (64, 64))
    around.paste(middle, (16, 16))
    source = Source(SourceProcessing.OUTPAINTING, png(around))

    pictures = make(engine, a_batch(3, source=source))

    assert comfyui.passes() == [3] * STEPS
    inner, outer = (16, 16, 48, 48), (0, 0, 64, 16)
    assert are_all_different([each.crop(outer) for each in pictures])
    for picture in pictures:
        assert largest_difference(picture.crop(inner), middle) <= 2


def test_a_controlnet_looks_at_the_edges_of_the_source(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    upright, lying, none = (
        make(engine, a_batch(2, source=edges(source), control_type="canny"))
        for source in (UPRIGHT, LYING, PLAIN)
    )

    assert comfyui.passes() == [2] * STEPS * 3
    for three in zip(upright, lying, none, strict=True):
        assert are_all_different(list(three))
    assert are_all_different(upright)


def test_a_control_map_is_returned_for_every_image(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    batch = a_batch(3, source=edges(UPRIGHT), control_type="canny", return_control_map=True)

    maps = make(engine, batch)

    assert comfyui.passes() == []
    assert len(maps) == 3
    assert len({digest(each) for each in maps}) == 1
    left, right = (0, 0, 24, 64), (24, 0, 40, 64)
    assert maps[0].convert("L").crop(left).getextrema() == (0, 0)
    assert maps[0].convert("L").crop(right).getextrema() == (0, 255)


def test_hires_fix_draws_twice_and_counts_the_steps_of_both(
    engine: ComfyUIEngine, comfyui: ComfyUIServer
) -> None:
    told: list[Progress] = []
    batch = a_batch(
        1, width=576, height=576, steps=1, hires_fix=True, hires_fix_denoising_strength=0.5
    )

    (image,) = engine.generate(batch, told.append).images

    assert image.picture.size == (576, 576)
    assert comfyui.passes() == [1] * 2
    assert [each.step for each in told] == [1, 2]
    assert {each.steps for each in told} == {2}
