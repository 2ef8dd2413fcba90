from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import torch
from PIL import Image

from domain.images.source_images import SourceProcessing
from domain.workers.bridges import Feature
from tests.diffusers_batches import (
    ENGINE_MARKS,
    MODEL,
    batch_of,
    before_forwards,
    count_forwards,
    distance,
    made_pictures,
    make,
    on_one_thread,
    png_of,
)
from tests.tiny_pipelines import save_tiny_flux, save_tiny_sd, save_tiny_sdxl
from workers.engines.diffusers.devices import Device, find_device, precision_on
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.diffusers.folders import read_folder, weights_sha256
from workers.engines.diffusers.pipeline import LoadedPipeline
from workers.engines.protocol import EngineFailed, OutOfMemory, Source

CPU = Device("cpu", "cpu")
GPU = Device("cuda", "cuda of a test")

pytestmark = ENGINE_MARKS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "sd": save_tiny_sd(folder / "sd"),
        "sdxl": save_tiny_sdxl(folder / "sdxl"),
        "flux": save_tiny_flux(folder / "flux"),
        "another": save_tiny_sd(folder / "another", seed=1),
    }


@pytest.fixture(scope="module")
def engine(tiny: dict[str, Path]) -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine(tiny, device="cpu")


def small(model: str, count: int = 1, **changes: Any) -> Any:
    return batch_of(count, **{"model": model, "width": 64, "height": 64, **changes})


def test_one_model_is_kept_warm_and_swapped_by_need(engine: DiffusersEngine) -> None:
    assert engine.abilities().models == ("another", "flux", "sd", "sdxl")
    first = made_pictures(engine, small("sd"))
    assert engine.loaded_model == "sd"
    other = made_pictures(engine, small("another"))
    assert engine.loaded_model == "another"
    assert first != other
    assert made_pictures(engine, small("sd")) == first


def test_the_first_model_is_warm_from_the_start(tiny: dict[str, Path]) -> None:
    engine = DiffusersEngine({"sd": tiny["sd"], "another": tiny["another"]}, device="cpu")
    assert engine.loaded_model == "sd"
    engine.close()
    assert engine.loaded_model is None


def test_every_model_has_a_digest_of_its_own(engine: DiffusersEngine) -> None:
    digests = {make(engine, small(model)).model_sha256 for model in ("sd", "another", "sdxl")}
    assert len(digests) == 3


def test_a_digest_can_be_checked_by_hand(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "vae").mkdir()
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"one")
    (tmp_path / "vae" / "a.safetensors").write_bytes(b"two")
    (tmp_path / "model_index.json").write_text("{}")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
    lines = f"{one}  unet/a.safetensors\n{two}  vae/a.safetensors\n"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert weights_sha256(tmp_path) == expected
    (tmp_path / "model_index.json").write_text("other settings, the same weights")
    assert weights_sha256(tmp_path) == expected
    (tmp_path / "vae" / "a.safetensors").write_bytes(b"three")
    assert weights_sha256(tmp_path) != expected


def test_a_folder_without_weights_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        weights_sha256(tmp_path)


def test_weights_are_hashed_once(tiny: dict[str, Path]) -> None:
    asked: list[str] = []

    def hash_of(path: Path) -> str:
        asked.append(path.relative_to(tiny["sd"]).as_posix())
        return "0" * 64

    with on_one_thread():
        engine = DiffusersEngine({"sd": tiny["sd"]}, device="cpu", hash_of=hash_of)
        assert make(engine, small("sd")).model_sha256 == make(engine, small("sd")).model_sha256
    assert asked == [
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]


@pytest.mark.parametrize("model", ["sd", "sdxl", "flux"])
@pytest.mark.parametrize("kind", ["text", "image", "painting"])
def test_every_family_draws_from_text_images_and_masks(
    engine: DiffusersEngine, model: str, kind: str
) -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    image = Image.new("RGB", (64, 64), (200, 100, 50))
    source = {
        "text": None,
        "image": Source(SourceProcessing.IMG2IMG, png_of(image)),
        "painting": Source(SourceProcessing.INPAINTING, png_of(image), png_of(mask)),
    }[kind]
    batch = small(model, 3, source=source, steps=3, denoising_strength=0.7)
    made = make(engine, batch).images
    rows = count_forwards(engine, lambda: make(engine, batch))
    # flux has its guidance distilled into it.
    assert rows == [3 if model == "flux" else 6] * 3
    assert len({picture.picture.tobytes() for picture in made}) == 3
    (alone,) = make(engine, replace(batch, image_ids=(UUID(int=1),), indices=(2,), size=1)).images
    assert distance(alone.picture, made[2].picture) < 0.05
    assert distance(alone.picture, made[1].picture) > 1.0
    if kind == "painting":
        left = (0, 0, 32, 64)
        for drawn in made:
            assert drawn.picture.crop(left).tobytes() == image.crop(left).tobytes()


# The pipelines of SDXL still call it themselves where they have float16 weights.
@pytest.mark.filterwarnings("ignore:`upcast_vae` is deprecated:FutureWarning")
@pytest.mark.parametrize("model", ["sd", "sdxl", "flux"])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_every_family_draws_in_the_precisions_of_gpus(
    tiny: dict[str, Path], monkeypatch: pytest.MonkeyPatch, model: str, precision: Any
) -> None:
    monkeypatch.setattr(
        "workers.engines.diffusers.pipeline.precision_on", lambda device, folder: precision
    )
    hole = Image.new("RGBA", (64, 64), (200, 100, 50, 255))
    hole.paste((0, 0, 0, 0), (32, 0, 64, 64))
    with on_one_thread():
        engine = DiffusersEngine({model: tiny[model]}, device="cpu")
        for processing in (None, SourceProcessing.IMG2IMG, SourceProcessing.INPAINTING):
            source = Source(processing, png_of(hole)) if processing else None
            made = make(engine, small(model, 2, source=source, denoising_strength=0.7))
            assert len({image.picture.tobytes() for image in made.images}) == 2


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_layers_are_skipped_from_where_a_family_was_trained(
    engine: DiffusersEngine, model: str
) -> None:
    plain, two, three = (made_pictures(engine, small(model, clip_skip=n)) for n in (1, 2, 3))
    assert (plain == two) is (model == "sdxl")
    assert two != three or model == "sdxl"


@pytest.mark.parametrize(
    "run_out",
    [
        lambda: torch.empty(2**55, dtype=torch.uint8),
        lambda: _raise(torch.OutOfMemoryError("CUDA out of memory. a secret")),
        lambda: _raise(RuntimeError("MPS backend out of memory (a secret)")),
        lambda: _raise(MemoryError()),
    ],
    ids=["cpu", "cuda", "mps", "python"],
)
def test_too_little_memory_is_said_so_and_passes(engine: DiffusersEngine, run_out: Any) -> None:
    before = made_pictures(engine, small("sd"))
    with before_forwards(engine, run_out), pytest.raises(OutOfMemory) as caught:
        make(engine, small("sd", 4))
    assert str(caught.value) == "out of memory with 4 images of 64x64 pixels"
    assert caught.value.__context__ is None
    assert made_pictures(engine, small("sd")) == before


def test_other_failures_are_not_taken_for_too_little_memory(engine: DiffusersEngine) -> None:
    made_pictures(engine, small("sd"))
    failing = before_forwards(engine, lambda: _raise(RuntimeError("a secret")))
    with failing, pytest.raises(EngineFailed) as caught:
        make(engine, small("sd"))
    assert not isinstance(caught.value, OutOfMemory)
    assert "secret" not in str(caught.value)


def test_large_images_are_decoded_in_tiles_on_gpus_only(tiny: dict[str, Path]) -> None:
    loaded = LoadedPipeline(read_folder(tiny["sd"]), CPU)
    vae = loaded.text.vae
    for device, pixels, tiled in (
        (CPU, 2048 * 2048, False),
        (GPU, 2048 * 2048, True),
        (GPU, 1024 * 1024, False),
    ):
        loaded.device = device
        loaded.save_memory(pixels)
        assert vae.use_tiling is tiled
        assert vae.use_slicing


def test_gpus_take_half_the_bits_in_the_range_that_a_model_needs(
    tiny: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sd, sdxl = read_folder(tiny["sd"]), read_folder(tiny["sdxl"])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert precision_on(CPU, sdxl) == torch.float32
    assert precision_on(GPU, sd) == torch.float16
    assert precision_on(GPU, sdxl) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert precision_on(GPU, sdxl) == torch.float16


def test_a_gpu_is_used_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda name: "Accelerator 5")
    assert find_device() == Device("cuda", "cuda Accelerator 5")
    assert find_device("cpu").name == "cpu"
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert find_device("cuda:1") == Device("cuda:1", "rocm Accelerator 5")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device().text.startswith("mps ")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_device().text.startswith("cpu ")


def test_the_abilities_are_those_that_all_models_have(
    tiny: dict[str, Path], tmp_path: Path
) -> None:
    some = {name: tiny[name] for name in ("sd", "sdxl")}
    assert Feature.CLIP_SKIP in DiffusersEngine(some, device="cpu").abilities().features
    features = DiffusersEngine(tiny, device="cpu").abilities().features
    assert Feature.CLIP_SKIP not in features
    assert Feature.FLUX in features
    save_tiny_sd(tmp_path)
    index = tmp_path / "model_index.json"
    # Another kind of pipeline with the same parts, which diffusers has no image to image for.
    index.write_text(
        index.read_text().replace("StableDiffusionPipeline", "StableDiffusionLDM3DPipeline")
    )
    folder = read_folder(tmp_path)
    assert not folder.can_img2img
    assert not folder.can_paint


def test_weights_of_half_the_size_are_preferred(tmp_path: Path) -> None:
    save_tiny_sd(tmp_path)
    assert read_folder(tmp_path).variant is None
    for name in ("unet", "vae"):
        weights = tmp_path / name / "diffusion_pytorch_model.safetensors"
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    folder = read_folder(tmp_path)
    assert folder.variant == "fp16"
    with on_one_thread():
        engine = DiffusersEngine({MODEL: tmp_path}, device="cpu")
        assert len(made_pictures(engine, small(MODEL))) == 1


def test_a_model_that_can_only_paint_is_refused(tmp_path: Path) -> None:
    save_tiny_sd(tmp_path)
    config = tmp_path / "unet" / "config.json"
    config.write_text(config.read_text().replace('"in_channels": 4', '"in_channels": 9'))
    with pytest.raises(EngineFailed):
        read_folder(tmp_path)


def test_a_safety_checker_in_the_folder_stays_out(tmp_path: Path) -> None:
    save_tiny_sd(tmp_path)
    index = tmp_path / "model_index.json"
    checker = '"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]'
    text = index.read_text().replace('"safety_checker": [\n    null,\n    null\n  ]', checker)
    assert checker in text
    index.write_text(text)
    assert LoadedPipeline(read_folder(tmp_path), CPU).text.safety_checker is None


def _raise(error: Exception) -> None:
    raise error
