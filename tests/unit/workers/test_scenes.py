from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from transformers import CLIPTokenizer

from tests.paths import ROOT
from workers.scenes.captions import caption, vocabulary
from workers.scenes.drawing import (
    COLOURS,
    SHAPES,
    Background,
    Scene,
    Thing,
    background_colour,
    draw,
    scene_at,
)
from workers.scenes.scoring import Question, questions, score
from workers.scenes.text import TEXT_LENGTH, build_tokenizer, encode_texts
from workers.scenes.text_training import scene_facts

FOLDER = ROOT / "workers" / "pipelines" / "scenes"


def scene_of(question: Question) -> Scene:
    things = tuple(
        Thing(thing.shape, thing.colour, "medium", thing.x, thing.y, 0.15, 1, 1)
        for thing in question.things
    )
    return Scene(Background("plain", (question.background,)), things, "single")


def test_the_same_seed_gives_the_same_scenes_captions_and_pixels() -> None:
    for index in range(20):
        scene = scene_at(5, index)
        assert scene == scene_at(5, index)
        assert caption(scene, Random(index)) == caption(scene, Random(index))
        assert np.array_equal(draw(scene, 96, 64), draw(scene, 96, 64))
    assert [scene_at(5, index) for index in range(20)] != [
        scene_at(6, index) for index in range(20)
    ]


def test_pictures_have_the_size_asked_for_and_smooth_edges() -> None:
    thing = Thing("circle", "white", "big", 0.5, 0.5, 0.3, 1, 1)
    picture = draw(Scene(Background("plain", ("black",)), (thing,), "single"), 96, 64)
    assert picture.shape == (64, 96, 3)
    assert tuple(picture[32, 48]) == COLOURS["white"]
    assert tuple(picture[2, 2]) == COLOURS["black"]
    between = (picture[..., 0] > 60) & (picture[..., 0] < 210)
    assert 20 < between.sum() < 400


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_stay_within_their_radius(shape: str) -> None:
    thing = Thing(shape, "white", "big", 0.5, 0.5, 0.25, 1, 1)
    picture = draw(Scene(Background("plain", ("black",)), (thing,), "single"), 128, 128)
    rows, columns = np.nonzero(picture[..., 0] > 128)
    reach = 0.25 * 128 * 1.25
    assert abs(rows - 64).max() < reach
    assert abs(columns - 64).max() < reach
    assert len(rows) > 500


def test_backgrounds_change_only_from_top_to_bottom() -> None:
    gradient = Background("gradient", ("white", "black"))
    assert background_colour(gradient, 0.0) > background_colour(gradient, 0.5)
    assert background_colour(Background("plain", ("red",)), 0.3) == COLOURS["red"]


def test_every_word_of_every_caption_is_one_token_of_the_shipped_tokenizer() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer", local_files_only=True)
    rng = Random(3)
    words = set(vocabulary())
    for index in range(3000):
        text = caption(scene_at(11, index), rng)
        words.update(text.replace(",", " ").split())
    assert all(tokenizer.tokenize(word) == [f"{word}</w>"] for word in sorted(words))


def test_the_tokenizer_is_the_same_whenever_it_is_built() -> None:
    shipped = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer", local_files_only=True)
    assert build_tokenizer().get_vocab() == shipped.get_vocab()


def test_captions_fit_and_any_text_can_be_encoded() -> None:
    tokenizer = build_tokenizer()
    rng = Random(4)
    texts = [caption(scene_at(12, index), rng) for index in range(500)]
    tokens = encode_texts(tokenizer, [*texts, "", "猫 🐈 \x00", "word " * 500])
    assert tokens.shape == (503, TEXT_LENGTH)
    assert bool((tokens[:, -1] == tokenizer.eos_token_id).all())


def test_captions_vary_and_name_what_there_is() -> None:
    scene = Scene(
        Background("plain", ("blue",)),
        (Thing("star", "red", "big", 0.26, 0.5, 0.25, 0, 1),),
        "single",
    )
    texts = {caption(scene, Random(index)) for index in range(60)}
    assert len(texts) > 20
    assert all("star" in text for text in texts)


def test_scene_facts_tell_scenes_apart() -> None:
    scene = scene_at(1, 3)
    assert scene_facts(scene) == scene_facts(scene_at(1, 3))
    assert len({tuple(scene_facts(scene_at(1, index))) for index in range(100)}) > 90


def test_the_score_knows_right_from_wrong() -> None:
    from PIL import Image

    asked = questions(1, 24)
    pictures = [Image.fromarray(draw(scene_of(question), 256, 256)) for question in asked]
    right = score(pictures, asked)
    assert right.backgrounds == 1.0
    assert right.colours > 0.95
    assert right.shapes > 0.9
    wrong = score(pictures[::-1], asked)
    assert max(wrong.backgrounds, wrong.colours, wrong.shapes) < 0.5


def test_a_training_of_a_few_steps_makes_a_pipeline(tmp_path: Path) -> None:
    out = tmp_path / "pipeline"
    settings = "--minutes 10 --most-steps 2 --scenes 8 --processes 1"
    done = subprocess.run(
        [sys.executable, "-m", "workers.scenes", "--out", str(out), *settings.split()],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "model_index.json").is_file()
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    assert size < 40e6
