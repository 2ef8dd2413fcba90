"""Drawing a part of an image anew while the rest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.engines.diffusers.pipeline import LoadedPipeline
from workers.engines.diffusers.sources import Canvas

if TYPE_CHECKING:
    from PIL.Image import Image


class KeptPart:
    """Puts what stays back into the latents at every step, with the noise of that step."""

    def __init__(self, loaded: LoadedPipeline, canvas: Canvas, generators: list[Any]) -> None:
        """Encode the canvas and draw each image's noise for what stays.

        :param generators: one for each image; each gives its image's noise now.
        """
        import torch

        if canvas.mask is None:
            raise ValueError("without a mask nothing is kept")
        self._start: Any = _encode(loaded, canvas.image)
        channels, height, width = self._start.shape[1:]
        noise = [
            torch.randn((1, channels, height, width), generator=generator)
            for generator in generators
        ]
        self._noise: Any = torch.cat(noise).to(self._start)
        self._drawn: Any = _latent_mask(canvas.mask, width, height).to(self._start)

    def put_back(
        self, pipeline: Any, index: int, timestep: Any, values: dict[str, Any]
    ) -> dict[str, Any]:
        """Replace what stays, as a pipeline's callback at the end of a step; needs ``latents``."""
        scheduler = pipeline.scheduler
        left = pipeline.num_timesteps - index - 1
        if left and not getattr(scheduler, "state_in_first_order", True):
            # Between the two halves of a step the latents are at no noise level of their own.
            return values
        kept = self._start
        if left:
            following = scheduler.timesteps[-left:][:1]
            kept = scheduler.add_noise(self._start.expand_as(self._noise), self._noise, following)
        drawn = values["latents"]
        return {**values, "latents": (kept + (drawn - kept) * self._drawn).to(drawn.dtype)}


def composite(canvas: Canvas, drawn: Image) -> Image:
    """Return the canvas with the repainted part; all other pixels stay as they were."""
    from PIL import Image

    if canvas.mask is None:
        return drawn
    return Image.composite(drawn.convert("RGB"), canvas.image, canvas.mask)


def _encode(loaded: LoadedPipeline, image: Image) -> Any:
    """The latents of one image, shape (1, channels, height, width)."""
    import torch

    pipeline = loaded.images
    vae = pipeline.vae
    own_type = vae.dtype
    if own_type == torch.float16 and getattr(vae.config, "force_upcast", False):
        vae.to(torch.float32)
    pixels = pipeline.image_processor.preprocess(image).to(loaded.device.name, vae.dtype)
    latents = vae.encode(pixels).latent_dist.mode()
    vae.to(own_type)
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return ((latents - shift) * vae.config.scaling_factor).to(pipeline.unet.dtype)


def _latent_mask(mask: Image, width: int, height: int) -> Any:
    """1 where anything of a latent's pixels is drawn anew, shape (1, 1, height, width)."""
    import numpy as np
    import torch

    rows, columns = mask.height // height, mask.width // width
    pixels = np.asarray(mask)[: rows * height, : columns * width]
    cells = pixels.reshape(height, rows, width, columns).max(axis=(1, 3))
    return torch.from_numpy((cells > 0).astype(np.float32))[None, None]
