"""The engine that makes images with any text-to-image pipeline in diffusers' folder format."""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workers.engines.protocol import Batch, EngineFailed, EngineImage, Progress
from workers.engines.samplers import SAMPLERS, build_scheduler

if TYPE_CHECKING:
    from PIL.Image import Image

_WEBP_QUALITY: Final = 90
_NEEDED_ARGUMENTS: Final = frozenset({"prompt", "generator", "callback_on_step_end"})


def noise_seed(seed: int, index: int) -> int:
    """The seed of image ``index``'s own noise: 63 bits that depend on these two numbers alone."""
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class DiffusersEngine:
    """Runs one pipeline folder; a batch goes through the model together, once per step.

    Every image draws all its noise, that of stochastic samplers too, from a generator of its own.
    So beside the rounding of kernels nothing about an image depends on the rest of its batch, and
    on one machine the same batch gives the same bytes. Nothing is ever fetched from a network.
    """

    def __init__(self, folder: str | Path, model: str, *, device: str = "cpu") -> None:
        """Load the pipeline in ``folder`` and offer it under the name ``model``.

        ``device`` is a torch device such as ``cpu`` or ``cuda``; the weights are loaded as 32-bit
        floats on a CPU and as 16-bit floats elsewhere.

        :raises EngineFailed: when the folder holds no text-to-image pipeline that can be loaded.
        """
        path = Path(folder)
        if not (path / "model_index.json").is_file():
            raise EngineFailed("the model folder holds no diffusers pipeline")
        # These imports take seconds, which only those who run this engine should wait for.
        import diffusers
        import torch
        import transformers

        # Both libraries log the part of a prompt that is too long, and no log may hold a prompt.
        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        try:
            self._pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(
                str(path),
                local_files_only=True,
                use_safetensors=True,
                low_cpu_mem_usage=False,
                dtype=torch.float32 if device == "cpu" else torch.float16,
            ).to(device)
        except Exception as error:
            raise EngineFailed(
                f"the pipeline could not be loaded: {type(error).__name__}"
            ) from error
        self._model = model
        self._arguments = frozenset(inspect.signature(self._pipeline.__call__).parameters)
        if not self._arguments >= _NEEDED_ARGUMENTS:
            raise EngineFailed("the pipeline makes no images from text, or not in countable steps")
        self._own_scheduler: Any = self._pipeline.scheduler
        self._pipeline.set_progress_bar_config(disable=True)
        if hasattr(self._pipeline.vae, "enable_slicing"):
            # One image at a time: the decoder's full-size layers need the most memory of all.
            self._pipeline.vae.enable_slicing()
        _give_text_encoder_its_old_name(getattr(self._pipeline, "text_encoder", None))

    @property
    def name(self) -> str:
        """What the history calls this engine."""
        return "diffusers"

    @property
    def models(self) -> Sequence[str]:
        """The one model name that this engine serves."""
        return (self._model,)

    def generate(
        self, batch: Batch, on_progress: Callable[[Progress], None]
    ) -> Sequence[EngineImage]:
        """Make every image of the batch, in batch order.

        ``on_progress`` is called once per step of ``batch.steps``, from this thread; whatever it
        raises stops the batch and is passed on as it is.

        :raises EngineFailed: when the batch cannot be made; the message holds no prompt.
        """
        if batch.model != self._model:
            raise EngineFailed("this engine does not serve the model that was asked for")
        if batch.sampler not in SAMPLERS:
            raise EngineFailed("the sampler is unknown")
        if not batch.image_ids:
            return ()
        progress = _ProgressCounter(batch.steps, on_progress)
        try:
            images = self._run(batch, progress)
            encoded = [_encode_webp(image) for image in images]
        except Exception as error:
            if error is progress.interruption:
                raise
            # The original error stays out: its text and its frames may hold the prompt.
            raise EngineFailed(f"the pipeline failed: {type(error).__name__}") from None
        if len(encoded) != len(batch.image_ids):
            raise EngineFailed("the pipeline returned another number of images than asked for")
        return tuple(
            EngineImage(image_id=image_id, batch_index=index, seed=batch.seed, webp=webp)
            for index, (image_id, webp) in enumerate(zip(batch.image_ids, encoded, strict=True))
        )

    def _run(self, batch: Batch, progress: _ProgressCounter) -> list[Image]:
        import torch

        scheduler = build_scheduler(
            self._own_scheduler.config, batch.sampler, karras=batch.karras, steps=batch.steps
        )
        self._pipeline.scheduler = self._own_scheduler if scheduler is None else scheduler
        count = len(batch.image_ids)
        arguments: dict[str, Any] = {
            "prompt": batch.prompt,
            "negative_prompt": batch.negative_prompt,
            "num_images_per_prompt": count,
            "width": batch.width,
            "height": batch.height,
            "num_inference_steps": batch.steps,
            "guidance_scale": max(1.0, batch.cfg_scale),
            "clip_skip": self._layers_to_skip(batch.clip_skip),
            # The generators live on the CPU, so that every device starts from the same noise.
            "generator": [
                torch.Generator("cpu").manual_seed(noise_seed(batch.seed, index))
                for index in range(count)
            ],
            "callback_on_step_end": progress,
            "output_type": "pil",
        }
        with torch.inference_mode():
            result = self._pipeline(
                **{name: value for name, value in arguments.items() if name in self._arguments}
            )
        images: list[Image] = result.images
        return images

    def _layers_to_skip(self, clip_skip: int) -> int | None:
        """What diffusers calls ``clip_skip``: v2's 1 is the last layer, hence nothing skipped."""
        if clip_skip <= 1:
            return None
        config = getattr(getattr(self._pipeline, "text_encoder", None), "config", None)
        layers = getattr(config, "num_hidden_layers", None)
        return None if layers is None else min(clip_skip, layers) - 1


class _ProgressCounter:
    """The callback of a pipeline, which counts a batch's steps whatever a sampler makes of them."""

    def __init__(self, steps: int, on_progress: Callable[[Progress], None]) -> None:
        self._steps = steps
        self._on_progress = on_progress
        self._reported = 0
        self.interruption: BaseException | None = None
        """What ``on_progress`` raised, if it did."""

    def __call__(
        self, pipeline: Any, index: int, timestep: Any, values: dict[str, Any]
    ) -> dict[str, Any]:
        # Samplers that call the model twice per step have about twice as many inner steps.
        inner_steps = len(pipeline.scheduler.timesteps)
        reached = min(self._steps, (index + 1) * self._steps // inner_steps)
        try:
            while self._reported < reached:
                self._reported += 1
                self._on_progress(Progress(self._reported, self._steps))
        except BaseException as error:
            self.interruption = error
            raise
        return values


def _give_text_encoder_its_old_name(text_encoder: Any) -> None:
    """Let pipelines skip layers of text encoders that no longer have an inner ``text_model``.

    Pipelines look for ``text_encoder.text_model.final_layer_norm``; newer text encoders hold that
    layer themselves. Set past torch's own attributes, since a module must not contain itself.
    """
    if text_encoder is not None and not hasattr(text_encoder, "text_model"):
        object.__setattr__(text_encoder, "text_model", text_encoder)


def _encode_webp(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=_WEBP_QUALITY)
    return buffer.getvalue()
