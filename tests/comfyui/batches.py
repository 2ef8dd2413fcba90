"""Batches as a worker hands them to an engine, small enough for a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from PIL import Image

from domain.images.settings import ImageSettings
from tests.comfyui.checkpoint import NAME
from workers.engines.protocol import Batch, BatchResult, Engine, Progress, Source

PROMPT = "a lighthouse in the snow"
STEPS = 4


def a_batch(
    images: int = 8,
    *,
    seed: int = 7,
    prompt: str = PROMPT,
    model: str = NAME,
    indices: Sequence[int] | None = None,
    size: int | None = None,
    source: Source | None = None,
    **settings: Any,
) -> Batch:
    """Return a batch of 64x64 pictures in 4 steps of ``lcm``, unless said otherwise.

    :param indices: the wanted ones, all of them if left out.
    :param size: how many go through the model together, as many as are wanted if left out.
    """
    wanted = tuple(range(images)) if indices is None else tuple(indices)
    usual: dict[str, Any] = {
        "width": 64,
        "height": 64,
        "steps": STEPS,
        "sampler": "lcm",
        "cfg_scale": 1.0,
        "karras": False,
        "clip_skip": 1,
    }
    return Batch(
        job_id=uuid4(),
        image_ids=tuple(uuid4() for _ in wanted),
        model=model,
        prompt=prompt,
        negative_prompt="",
        settings=ImageSettings(**usual | settings),
        seed=seed,
        indices=wanted,
        size=len(wanted) if size is None else size,
        source=source,
    )


def unheard(_progress: Progress) -> None:
    """Listen to no progress."""


def pictures_of(made: BatchResult) -> list[Image.Image]:
    """Return the pictures of a finished batch, in its order."""
    return [image.picture for image in made.images]


def make(engine: Engine, batch: Batch) -> list[Image.Image]:
    """Make a batch and return its pictures."""
    return pictures_of(engine.generate(batch, unheard))
