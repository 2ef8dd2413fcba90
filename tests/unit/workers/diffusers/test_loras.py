from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.models.loras import Lora
from domain.workers.bridges import Feature
from tests.diffusers_batches import (
    ENGINE_MARKS,
    batch_of,
    distance,
    made_pictures,
    make,
    on_one_thread,
    pictures_of,
)
from tests.tiny_pipelines import save_tiny_sd, tiny_lora
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.protocol import Batch, EngineFailed, Progress
from workers.models.downloads import OnDownloaded
from workers.models.lora_versions import LoraFile, LoraUnavailable

MODEL = "tiny"


class Shelf:
    """A LoRA store over files that lie there already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
        path = self._folder / f"{lora.name}.safetensors"
        if not path.exists():
            raise LoraUnavailable("it is not here")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return LoraFile(path, path.name, lora.name, digest, ("tiny style", "other"))


pytestmark = ENGINE_MARKS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_sd(folder / "model")
    whole = tiny_lora(folder / "model")
    save_file(whole, folder / "1.safetensors")
    opposite = {name: -weight if "lora_up" in name else weight for name, weight in whole.items()}
    save_file(opposite, folder / "2.safetensors")
    save_file(tiny_lora(folder / "model", unet=False), folder / "words.safetensors")
    save_file(tiny_lora(folder / "model", text_encoder=False), folder / "picture.safetensors")
    save_file(tiny_lora(folder / "model", alpha=2.0), folder / "half.safetensors")
    other_shape = {
        name: weight.repeat_interleave(2, -1) if "lora_down" in name else weight
        for name, weight in whole.items()
    }
    save_file(other_shape, folder / "misfit.safetensors")
    save_file({"something.weight": whole[next(iter(whole))]}, folder / "stranger.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no weights")
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: folder / "model"}, device="cpu", loras=Shelf(folder))


def tiny(*loras: Lora, **changes: Any) -> Batch:
    settings = {"model": MODEL, "width": 64, "height": 64, "loras": loras, "cfg_scale": 2.0}
    return batch_of(1, **{**settings, **changes})


def test_an_engine_with_a_store_serves_loras_by_version(
    engine: DiffusersEngine, folder: Path
) -> None:
    assert engine.abilities().lora
    assert Feature.LORA_VERSIONS in engine.abilities().features
    without = DiffusersEngine({MODEL: folder / "model"}, device="cpu")
    assert not without.abilities().lora


def test_a_lora_changes_the_picture_by_its_strength_and_is_gone_afterwards(
    engine: DiffusersEngine,
) -> None:
    plain = made_pictures(engine, tiny())
    nothing = made_pictures(engine, tiny(Lora("1", model=0.0, clip=0.0)))
    weak, strong = (made_pictures(engine, tiny(Lora("1", model=m))) for m in (0.3, 1.0))
    assert len({*plain, *weak, *strong}) == 3
    assert nothing == plain
    assert made_pictures(engine, tiny()) == plain


@pytest.mark.parametrize(
    ("name", "ineffective", "effective"),
    [
        ("words", Lora("words", model=1.0, clip=0.0), Lora("words", model=0.0, clip=1.0)),
        ("picture", Lora("picture", model=0.0, clip=1.0), Lora("picture", model=1.0, clip=0.0)),
    ],
)
def test_the_text_encoder_and_the_denoiser_have_strengths_of_their_own(
    engine: DiffusersEngine, name: str, ineffective: Lora, effective: Lora
) -> None:
    plain = made_pictures(engine, tiny())
    assert made_pictures(engine, tiny(ineffective)) == plain
    assert made_pictures(engine, tiny(effective)) != plain


def test_a_lora_is_as_strong_as_its_file_says(engine: DiffusersEngine) -> None:
    half = make(engine, tiny(Lora("half")))
    halved = make(engine, tiny(Lora("1", model=0.5, clip=0.5)))
    whole = make(engine, tiny(Lora("1")))
    assert distance(half.images[0].picture, halved.images[0].picture) < 0.05
    assert distance(half.images[0].picture, whole.images[0].picture) > 0.5


def test_loras_are_stacked_in_order_and_named_by_their_files(engine: DiffusersEngine) -> None:
    one, two = Lora("1"), Lora("2", model=0.5)
    made = [make(engine, tiny(*loras)) for loras in ((one,), (two,), (one, two))]
    assert len({picture for each in made for picture in pictures_of(each)}) == 3
    assert [identity.version_id for identity in made[2].loras] == ["1", "2"]
    assert len({identity.sha256 for identity in made[2].loras}) == 2
    assert made[2].metadata == ()


def test_a_lora_that_was_loaded_before_works_as_if_it_were_new(engine: DiffusersEngine) -> None:
    first = made_pictures(engine, tiny(Lora("1", model=0.7)))
    made_pictures(engine, tiny(Lora("1", model=0.2), Lora("2")))
    assert made_pictures(engine, tiny(Lora("1", model=0.7))) == first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("missing", MetadataValue.DOWNLOAD_FAILED),
        ("broken", MetadataValue.PARSE_FAILED),
        ("misfit", MetadataValue.BASELINE_MISMATCH),
        ("stranger", MetadataValue.BASELINE_MISMATCH),
    ],
)
def test_a_lora_that_cannot_be_used_is_left_out_and_named(
    engine: DiffusersEngine, name: str, value: MetadataValue
) -> None:
    with_one = make(engine, tiny(Lora("1")))
    made = make(engine, tiny(Lora(name), Lora("1")))
    assert made.metadata == (GenerationMetadata(MetadataType.LORA, value, name),)
    assert [identity.version_id for identity in made.loras] == ["1"]
    assert pictures_of(made) == pictures_of(with_one)
    plain = made_pictures(engine, tiny())
    alone = make(engine, tiny(Lora(name)))
    assert pictures_of(alone) == plain
    assert alone.loras == ()


def test_triggers_are_put_into_the_prompt(engine: DiffusersEngine) -> None:
    def with_prompt(prompt: str, trigger: str | None = None) -> list[bytes]:
        return made_pictures(engine, tiny(Lora("1", inject_trigger=trigger), prompt=prompt))

    assert with_prompt("a star", "any") == with_prompt("a star, tiny style")
    assert with_prompt("a star", "OTHER") == with_prompt("a star, other")
    assert with_prompt("a star", "style") == with_prompt("a star, tiny style")
    assert with_prompt("other star", "other") == with_prompt("other star")
    assert with_prompt("a star", "unknown") == with_prompt("a star")
    assert with_prompt("a star", "any") != with_prompt("a star")


def test_layers_can_be_skipped_beside_a_lora(engine: DiffusersEngine) -> None:
    plain, skipped = (made_pictures(engine, tiny(Lora("1"), clip_skip=n)) for n in (1, 2))
    assert plain != skipped


def test_an_engine_without_a_store_leaves_loras_out(folder: Path) -> None:
    with on_one_thread():
        engine = DiffusersEngine({MODEL: folder / "model"}, device="cpu")
        (word,) = make(engine, tiny(Lora("1"))).metadata
    assert word.value is MetadataValue.DOWNLOAD_FAILED


def test_what_the_store_fails_with_says_nothing_of_the_prompt(folder: Path) -> None:
    class Broken:
        def fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
            raise RuntimeError("a secret")

    with on_one_thread():
        engine = DiffusersEngine({MODEL: folder / "model"}, device="cpu", loras=Broken())
        with pytest.raises(EngineFailed) as caught:
            make(engine, tiny(Lora("1")))
    assert "secret" not in str(caught.value)


def test_a_download_stops_when_nobody_wants_the_batch_any_more(folder: Path) -> None:
    class LeaseLost(Exception):
        pass

    class Slow:
        def fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
            on_bytes(1, 2)
            raise AssertionError("the download went on")

    def lose_lease(progress: Progress) -> None:
        assert progress.step == 0
        raise LeaseLost

    with on_one_thread():
        engine = DiffusersEngine({MODEL: folder / "model"}, device="cpu", loras=Slow())
        with pytest.raises(LeaseLost):
            engine.generate(tiny(Lora("1")), lose_lease)
