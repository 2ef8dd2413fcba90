"""Drawing a batch with a loaded pipeline: all its images together, one model call a step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workers.engines.diffusers.folders import Painting, arguments_of
from workers.engines.diffusers.painting import KeptPart, composite
from workers.engines.diffusers.passes import Pass, StepCounter
from workers.engines.diffusers.pipeline import LoadedPipeline
from workers.engines.diffusers.sources import Canvas
from workers.engines.protocol import Batch

if TYPE_CHECKING:
    from PIL.Image import Image


def draw(
    loaded: LoadedPipeline,
    batch: Batch,
    passes: Sequence[Pass],
    canvas: Canvas | None,
    counter: StepCounter,
) -> list[Image]:
    """Return a picture for each of :attr:`Batch.indices_run`, in that order.

    Every image draws all its noise, that of stochastic samplers and of a second pass too, from a
    generator of its own. So beside the rounding of kernels nothing about an image depends on the
    rest of its batch.
    """
    import torch

    generators = generators_of(batch.seed, batch.indices_run)
    with torch.inference_mode(), loaded.legacy_layer_names():
        loaded.save_memory(batch.settings.pixels)
        pictures: list[Image] = []
        for nth in passes:
            start = _enlarged(pictures, nth) if pictures else canvas
            pictures = _run(loaded, batch, nth, start, generators, counter)
    if canvas is None:
        return pictures
    return [composite(canvas, picture) for picture in pictures]


def _run(
    loaded: LoadedPipeline,
    batch: Batch,
    nth: Pass,
    start: Canvas | list[Image] | None,
    generators: list[Any],
    counter: StepCounter,
) -> list[Image]:
    settings = batch.settings
    loaded.use_sampler(settings.sampler, karras=settings.karras, steps=nth.scheduled)
    pipeline, more = _pipeline_for(loaded, nth, start, generators, counter)
    arguments: dict[str, Any] = {
        "prompt": batch.prompt,
        "negative_prompt": batch.negative_prompt,
        "num_images_per_prompt": len(generators),
        "width": nth.width,
        "height": nth.height,
        "num_inference_steps": nth.scheduled,
        "strength": nth.strength,
        "guidance_scale": max(1.0, settings.cfg_scale),
        "clip_skip": loaded.layers_to_skip(settings.clip_skip),
        "generator": generators,
        "output_type": "pil",
        **more,
    }
    taken = arguments_of(type(pipeline))
    result = pipeline(**{name: value for name, value in arguments.items() if name in taken})
    images: list[Image] = result.images
    return images


def _pipeline_for(
    loaded: LoadedPipeline,
    nth: Pass,
    start: Canvas | list[Image] | None,
    generators: list[Any],
    counter: StepCounter,
) -> tuple[Any, dict[str, Any]]:
    """The pipeline for a pass, and what it takes beyond the usual."""
    plain = {"callback_on_step_end": counter.callback(nth.steps)}
    if start is None:
        return loaded.text, plain
    if isinstance(start, list):
        return loaded.images, {"image": start, **plain}
    # Once for each image, since some pipelines would else draw from the first generator alone.
    images = [start.image] * len(generators)
    if start.mask is None:
        return loaded.images, {"image": images, **plain}
    if loaded.folder.painting is Painting.BY_ITS_OWN_PIPELINE:
        masks = [start.mask] * len(generators)
        return loaded.paint, {"image": images, "mask_image": masks, **plain}
    kept = KeptPart(loaded, start, generators)
    return loaded.images, {
        "image": images,
        "callback_on_step_end": counter.callback(nth.steps, kept.put_back),
        "callback_on_step_end_tensor_inputs": ["latents"],
    }


def _enlarged(pictures: list[Image], nth: Pass) -> list[Image]:
    from PIL import Image

    size = (nth.width, nth.height)
    return [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]


def noise_seed(seed: int, index: int) -> int:
    """The seed of an image's own noise: 63 bits that depend on these two numbers alone.

    :param index: the image's batch index, from 0.
    """
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generators_of(seed: int, indices: Sequence[int]) -> list[Any]:
    """A fresh generator for each batch index.

    They live on the CPU, so that every device starts from the same noise.
    """
    import torch

    return [torch.Generator("cpu").manual_seed(noise_seed(seed, index)) for index in indices]
