"""A node for ComfyUI: samplers draw the noise of their steps for each image by itself.

ComfyUI's ancestral, SDE and LCM samplers draw the noise of a step for the batch as a whole, so that
an image depends on how many others it is made with. With this node its noise is a function of the
seed and its place in the batch alone, always drawn on the CPU: one image of a batch can be made
again without the rest.

To install it, copy this one file into ComfyUI's folder ``custom_nodes``. It runs inside ComfyUI and
imports nothing of Hoard.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

_KEY = "hoard_noise"


def noise_seed(seed: int, place: int) -> int:
    """Return the seed of one image's noise: 63 bits that depend on these two numbers alone."""
    digest = hashlib.sha256(f"{seed}:{place}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def gaussian_noise(latents: Any, seeds: list[int]) -> Callable[..., Any]:
    """Return a noise sampler that draws from a generator of its own for each image."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def draw(*_sigmas: Any) -> Any:
        shape = (1, *latents.shape[1:])
        drawn = [torch.randn(shape, generator=each, device="cpu") for each in generators]
        return torch.cat(drawn).to(device=latents.device, dtype=latents.dtype)

    return draw


def _brownian_noise(latents: Any, sigmas: Any, seeds: list[int]) -> Callable[..., Any]:
    """Return a noise sampler for SDE solvers: one Brownian path for each image."""
    from comfy.k_diffusion.sampling import (  # type: ignore[import-not-found]
        BrownianTreeNoiseSampler,
    )

    lowest, highest = sigmas[sigmas > 0].min(), sigmas.max()
    sampler: Callable[..., Any] = BrownianTreeNoiseSampler(
        latents, lowest, highest, seed=seeds, cpu=True
    )
    return sampler


def wrapper(seed: int, places: list[int]) -> Callable[..., Any]:
    """Return what ComfyUI calls around a sampler.

    :raises ValueError: while sampling, when there are not as many images as places.
    """
    seeds = [noise_seed(seed, place) for place in places]

    def sample(executor: Any, *arguments: Any, **named: Any) -> Any:
        sampler = executor.class_obj
        run = getattr(sampler, "sampler_function", None)
        if run is None or "noise_sampler" not in inspect.signature(run).parameters:
            return executor(*arguments, **named)
        sigmas = named["sigmas"] if "sigmas" in named else arguments[1]
        noise = named["noise"] if "noise" in named else arguments[4]
        if len(noise) != len(seeds):
            raise ValueError(f"{len(noise)} images are sampled instead of {len(seeds)}")
        own = (
            _brownian_noise(noise, sigmas, seeds)
            if "dpmpp" in run.__name__ and "sde" in run.__name__
            else gaussian_noise(noise, seeds)
        )
        # A new dictionary: the samplers of ComfyUI share theirs.
        sampler.extra_options = {**sampler.extra_options, "noise_sampler": own}
        return executor(*arguments, **named)

    return sample


class HoardPerImageNoise:
    """The node: a model goes in, and the same model comes out with samplers that behave so."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "sampling/hoard"
    DESCRIPTION = "Samplers draw the noise of their steps for each image of a batch by itself."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[object, ...]]]:  # noqa: N802
        """Say what goes in, as ComfyUI asks for it."""
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF}),
                "places": ("STRING", {"default": "0"}),
            }
        }

    def patch(self, model: Any, seed: int, places: str) -> tuple[Any]:
        """Return the model with its samplers wrapped.

        :param places: the places of the images in their batch, such as ``0,1,2``.
        """
        from comfy.patcher_extension import WrappersMP  # type: ignore[import-not-found]

        patched = model.clone()
        numbers = [int(place) for place in places.split(",")]
        patched.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, _KEY, wrapper(seed, numbers))
        return (patched,)


NODE_CLASS_MAPPINGS = {"HoardPerImageNoise": HoardPerImageNoise}
NODE_DISPLAY_NAME_MAPPINGS = {"HoardPerImageNoise": "Noise per image (Hoard)"}
