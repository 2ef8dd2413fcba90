from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from workers.engines.diffusers import DiffusersEngine, noise_seed
from workers.engines.protocol import Batch, EngineFailed, Progress
from workers.engines.samplers import SAMPLERS

# The schedulers of diffusers turn tensors into arrays in ways that numpy will stop to support.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

FOLDER = Path(__file__).parents[2] / "workers" / "pipelines" / "scenes"
MODEL = "scenes"


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    import torch

    # Pictures as small as these gain nothing from threads, which only wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield DiffusersEngine(FOLDER, MODEL)
    torch.set_num_threads(threads)


def batch_of(count: int = 2, **changes: Any) -> Batch:
    settings: dict[str, Any] = {
        "job_id": UUID(int=1),
        "image_ids": tuple(UUID(int=100 + index) for index in range(count)),
        "model": MODEL,
        "prompt": "a red circle on a blue background",
        "negative_prompt": "",
        "width": 128,
        "height": 128,
        "steps": 2,
        "cfg_scale": 3.0,
        "sampler": "k_euler_a",
        "karras": True,
        "clip_skip": 1,
        "seed": 7,
    }
    return Batch(**{**settings, **changes})


def no_progress(progress: Progress) -> None:
    pass


def webps(engine: DiffusersEngine, batch: Batch) -> list[bytes]:
    return [image.webp for image in engine.generate(batch, no_progress)]


def pixels_of(webp: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(webp)) as image:
        assert image.format == "WEBP"
        return np.asarray(image.convert("RGB")).astype(np.float64)


def count_forwards(engine: DiffusersEngine, work: Callable[[], object]) -> list[int]:
    """The batch size of every pass through the U-Net while ``work`` runs."""
    sizes: list[int] = []
    hook = engine._pipeline.unet.register_forward_pre_hook(
        lambda _, given: sizes.append(given[0].shape[0])
    )
    try:
        work()
    finally:
        hook.remove()
    return sizes


def test_importing_the_engine_loads_no_torch() -> None:
    code = (
        "import sys, workers.engines.diffusers, workers.engines.samplers;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parents[2], check=False)
    assert done.returncode == 0


def test_the_engine_says_what_it_is(engine: DiffusersEngine) -> None:
    assert engine.name == "diffusers"
    assert tuple(engine.models) == (MODEL,)


def test_images_come_in_batch_order_and_in_the_size_asked_for(engine: DiffusersEngine) -> None:
    batch = batch_of(3, width=192, height=64)
    images = engine.generate(batch, no_progress)
    assert [image.image_id for image in images] == list(batch.image_ids)
    assert [image.batch_index for image in images] == [0, 1, 2]
    assert {image.seed for image in images} == {7}
    assert {pixels_of(image.webp).shape for image in images} == {(64, 192, 3)}


def test_the_same_batch_gives_the_same_bytes(engine: DiffusersEngine) -> None:
    assert webps(engine, batch_of()) == webps(engine, batch_of())


def test_seeds_and_places_in_the_batch_give_different_images(engine: DiffusersEngine) -> None:
    made = [*webps(engine, batch_of(seed=7)), *webps(engine, batch_of(seed=8))]
    assert len(set(made)) == 4


@pytest.mark.parametrize("sampler", ["k_euler_a", "k_dpm_2_a", "k_dpmpp_sde", "lcm"])
def test_an_image_is_the_same_without_the_rest_of_its_batch(
    engine: DiffusersEngine, sampler: str
) -> None:
    alone = webps(engine, batch_of(1, sampler=sampler))[0]
    together = webps(engine, batch_of(4, sampler=sampler))[0]
    # Kernels round differently for another batch size and WebP amplifies that a little.
    assert np.abs(pixels_of(alone) - pixels_of(together)).mean() < 1.0


def test_noise_depends_on_the_seed_and_the_place_alone() -> None:
    seeds = {noise_seed(seed, index) for seed in (0, 1, 2**32 - 1) for index in range(20)}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert noise_seed(1, 23) != noise_seed(12, 3)


@pytest.mark.parametrize(("cfg_scale", "rows"), [(1.0, 4), (0.0, 4), (5.0, 8)])
def test_the_whole_batch_passes_the_model_once_per_step(
    engine: DiffusersEngine, cfg_scale: float, rows: int
) -> None:
    batch = batch_of(4, steps=3, cfg_scale=cfg_scale)
    assert count_forwards(engine, lambda: engine.generate(batch, no_progress)) == [rows] * 3


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_v2_sampler_makes_images_and_counts_its_steps(
    engine: DiffusersEngine, sampler: str, steps: int
) -> None:
    told: list[Progress] = []
    batch = batch_of(1, sampler=sampler, steps=steps, width=64, height=64)
    (image,) = engine.generate(batch, told.append)
    assert pixels_of(image.webp).shape == (64, 64, 3)
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
    def mean_colour(prompt: str) -> NDArray[np.float64]:
        batch = batch_of(2, prompt=prompt, steps=6, width=256, height=256)
        images = [pixels_of(webp) for webp in webps(engine, batch)]
        colour: NDArray[np.float64] = np.mean(images, axis=(0, 1, 2))
        return colour

    red, blue = mean_colour("a red background"), mean_colour("a blue background")
    assert red[0] > blue[0] + 80
    assert blue[2] > red[2] + 80


def test_the_negative_prompt_matters(engine: DiffusersEngine) -> None:
    assert webps(engine, batch_of(1)) != webps(engine, batch_of(1, negative_prompt="blue"))


def test_layers_of_the_text_encoder_can_be_skipped(engine: DiffusersEngine) -> None:
    plain, skipped, many = (webps(engine, batch_of(1, clip_skip=skip)) for skip in (1, 2, 12))
    assert plain != skipped
    # More layers than there are means all but the first.
    assert many == webps(engine, batch_of(1, clip_skip=3))


@pytest.mark.parametrize(
    "prompt", ["", "word " * 2000, "猫 🐈 \x00 ﷽ é", "<|endoftext|>", "0", ","]
)
def test_every_text_can_be_a_prompt(
    engine: DiffusersEngine, prompt: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(webps(engine, batch_of(1, prompt=prompt, negative_prompt=prompt))) == 1
    assert not caplog.records


def test_an_empty_batch_makes_nothing(engine: DiffusersEngine) -> None:
    assert webps(engine, batch_of(0)) == []


def test_failures_say_nothing_of_the_prompt(engine: DiffusersEngine) -> None:
    with pytest.raises(EngineFailed) as caught:
        engine.generate(batch_of(width=100, prompt="a secret"), no_progress)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("changes", [{"model": "another"}, {"sampler": "k_unknown"}])
def test_what_the_engine_does_not_know_it_refuses(
    engine: DiffusersEngine, changes: dict[str, Any]
) -> None:
    with pytest.raises(EngineFailed):
        engine.generate(batch_of(**changes), no_progress)


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        DiffusersEngine(tmp_path, MODEL)


def test_a_damaged_pipeline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(EngineFailed):
        DiffusersEngine(tmp_path, MODEL)
