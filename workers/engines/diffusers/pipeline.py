"""A pipeline whose weights are on the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from workers.engines.diffusers.devices import Device, is_out_of_memory, precision_on
from workers.engines.diffusers.folders import PipelineFolder
from workers.engines.diffusers.samplers import build_scheduler
from workers.engines.protocol import EngineFailed

_MOST_UNTILED_PIXELS: Final = 1536 * 1536
"""Above this the full-size layers of the decoder need more memory than the denoiser's weights."""


class LoadedPipeline:
    """Loaded once, used for many batches; text, images and masks share the same weights."""

    def __init__(self, folder: PipelineFolder, device: Device) -> None:
        """Load the weights; nothing is ever fetched from a network.

        A safety checker in the folder stays out: it would black images out without a report.

        :raises EngineFailed: when they cannot be loaded.
        """
        self.folder = folder
        self.device = device
        try:
            self.text: Any = _load(folder, device)
            self.images: Any = None
            self.paint: Any = None
            self._add_relatives()
        except Exception as error:
            why = "out of memory" if is_out_of_memory(error) else type(error).__name__
            raise EngineFailed(f"the pipeline could not be loaded: {why}") from None
        self._own_scheduler: Any = self.text.scheduler

    @property
    def native_side(self) -> int:
        """Pixels along the side of the square images that the model was trained on."""
        denoiser = getattr(self.text, "unet", None) or self.text.transformer
        latents = getattr(self.text, "default_sample_size", None) or denoiser.config.sample_size
        return int(latents) * int(self.text.vae_scale_factor)

    def use_sampler(self, sampler: str, *, karras: bool, steps: int) -> None:
        """Give the pipelines a fresh scheduler.

        :param steps: of the whole schedule, those that a pass skips included.
        """
        scheduler = build_scheduler(self._own_scheduler.config, sampler, karras=karras, steps=steps)
        for pipeline in self._pipelines():
            pipeline.scheduler = self._own_scheduler if scheduler is None else scheduler

    def save_memory(self, pixels: int) -> None:
        """Prepare for images of this size.

        It depends on nothing but the size and the device, since tiles change pixels a little.
        """
        vae = self.text.vae
        if hasattr(vae, "enable_slicing"):
            # One image at a time: the decoder's full-size layers need the most memory of all.
            vae.enable_slicing()
        if not hasattr(vae, "enable_tiling"):
            return
        if pixels > _MOST_UNTILED_PIXELS and self.device.kind != "cpu":
            vae.enable_tiling()
        else:
            vae.disable_tiling()

    def layers_to_skip(self, clip_skip: int) -> int | None:
        """What diffusers calls ``clip_skip``; v2's 1 is the last layer, hence nothing skipped.

        SDXL was trained on the last layer but one, which is therefore the least that is skipped.
        """
        usual = 2 if getattr(self.text, "text_encoder_2", None) is not None else 1
        if clip_skip <= usual:
            return None
        config = getattr(getattr(self.text, "text_encoder", None), "config", None)
        layers = getattr(config, "num_hidden_layers", None)
        return None if layers is None else max(0, min(clip_skip, layers) - usual) or None

    @contextmanager
    def legacy_layer_names(self) -> Iterator[None]:
        """Let pipelines skip layers of text encoders that have no inner ``text_model`` any more.

        Pipelines look for ``text_encoder.text_model.final_layer_norm``; newer text encoders hold
        that layer themselves. Set past torch's own attributes, since a module must not contain
        itself, and only for a while, since LoRAs are loaded by the new names.
        """
        encoder = getattr(self.text, "text_encoder", None)
        if encoder is None or hasattr(encoder, "text_model"):
            yield
            return
        object.__setattr__(encoder, "text_model", encoder)
        try:
            yield
        finally:
            object.__delattr__(encoder, "text_model")

    def _add_relatives(self) -> None:
        import diffusers

        if self.folder.image_class is not None:
            self.images = diffusers.AutoPipelineForImage2Image.from_pipe(self.text)
        if self.folder.paint_class is not None:
            self.paint = diffusers.AutoPipelineForInpainting.from_pipe(self.text)
        for pipeline in self._pipelines():
            pipeline.set_progress_bar_config(disable=True)

    def _pipelines(self) -> list[Any]:
        return [pipe for pipe in (self.text, self.images, self.paint) if pipe is not None]


def _load(folder: PipelineFolder, device: Device) -> Any:
    without_checker = {"safety_checker": None, "requires_safety_checker": False}
    pipeline: Any = folder.text_class.from_pretrained(
        str(folder.path),
        local_files_only=True,
        use_safetensors=True,
        variant=folder.variant,
        dtype=precision_on(device, folder),
        **(without_checker if folder.has_safety_checker else {}),
    )
    if device.kind == "mps":
        # Elsewhere attention is computed in pieces anyway, and faster.
        pipeline.enable_attention_slicing()
    return pipeline.to(device.name)
