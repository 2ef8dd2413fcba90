"""Batches for the diffusers engine, and what is looked for in what it makes of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from domain.images.settings import ImageSettings
from tests.paths import ROOT
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.protocol import Batch, BatchResult, Progress

SCENES = ROOT / "workers" / "pipelines" / "scenes"
MODEL = "scenes"

ENGINE_MARKS = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]
"""For tests that run it: the schedulers of diffusers turn tensors into arrays in ways that numpy
will stop to support."""

Pixels = NDArray[np.float64]


def batch_of(count: int = 2, **changes: Any) -> Batch:
    """A small, quick batch; settings and whatever else a batch has are changed by name."""
    settings: dict[str, Any] = {
        "width": 128,
        "height": 128,
        "steps": 2,
        "sampler": "k_euler_a",
        "cfg_scale": 3.0,
        "karras": True,
        "clip_skip": 1,
    }
    batch: dict[str, Any] = {
        "job_id": UUID(int=1),
        "image_ids": tuple(UUID(int=100 + index) for index in range(count)),
        "model": MODEL,
        "prompt": "a red circle on a blue background",
        "negative_prompt": "",
        "seed": 7,
        "indices": tuple(range(count)),
        "size": count,
    }
    for name, value in changes.items():
        (settings if name in ImageSettings.__dataclass_fields__ else batch)[name] = value
    return Batch(settings=ImageSettings(**settings), **batch)


def no_progress(progress: Progress) -> None:
    """Take note of nothing."""


def make(engine: DiffusersEngine, batch: Batch) -> BatchResult:
    """Run a batch, whatever its progress."""
    return engine.generate(batch, no_progress)


def pictures_of(made: BatchResult) -> list[bytes]:
    """The pixels of its images, to be compared bit for bit."""
    return [image.picture.tobytes() for image in made.images]


def made_pictures(engine: DiffusersEngine, batch: Batch) -> list[bytes]:
    """The pixels that a batch gives."""
    return pictures_of(make(engine, batch))


def pixels_of(picture: Image.Image) -> Pixels:
    """Red, green and blue of every pixel, 0 to 255."""
    return np.asarray(picture.convert("RGB")).astype(np.float64)


def distance(first: Image.Image, second: Image.Image) -> float:
    """How much two pictures differ: the mean over all channels of all pixels, 0 to 255."""
    return float(np.abs(pixels_of(first) - pixels_of(second)).mean())


def png_of(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def count_forwards(engine: DiffusersEngine, work: Callable[[], object]) -> list[int]:
    """The batch size of every pass through the denoiser while ``work`` runs."""
    sizes: list[int] = []
    hook = _denoiser(engine).register_forward_pre_hook(
        lambda _, given, named: sizes.append((*given, named.get("hidden_states"))[0].shape[0]),
        with_kwargs=True,
    )
    try:
        work()
    finally:
        hook.remove()
    return sizes


@contextmanager
def before_forwards(engine: DiffusersEngine, act: Callable[[], None]) -> Iterator[None]:
    """Have something happen before each pass through the denoiser."""
    hook = _denoiser(engine).register_forward_pre_hook(lambda *_: act())
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Pictures as small as these gain nothing from threads, which only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _denoiser(engine: DiffusersEngine) -> Any:
    assert engine._loaded is not None
    parts = engine._loaded[1].text.components
    return parts["unet"] if "unet" in parts else parts["transformer"]
