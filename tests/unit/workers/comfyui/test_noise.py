from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from workers.engines.comfyui.custom_nodes.hoard_noise import (
    NODE_CLASS_MAPPINGS,
    gaussian_noise,
    noise_seed,
    wrapper,
)
from workers.engines.comfyui.graph.sampling import NOISE_NODE

SHAPE = (4, 8, 8)


def latents(images: int) -> torch.Tensor:
    return torch.zeros((images, *SHAPE), dtype=torch.float16)


class Sampler:
    """Draws two steps of noise, as ComfyUI's samplers do."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.sampler_function = function
        self.extra_options: dict[str, Any] = {"eta": 1.0}


class Executor:
    """What ComfyUI hands to a wrapper."""

    def __init__(self, sampler: Sampler) -> None:
        self.class_obj = sampler

    def __call__(self, *arguments: Any) -> Any:
        return self.class_obj.sampler_function(**self.class_obj.extra_options)


def sample_ancestral(eta: float, noise_sampler: Any = None) -> torch.Tensor:
    assert noise_sampler is not None
    return torch.stack([noise_sampler(2.0, 1.0), noise_sampler(1.0, 0.0)])


def sample_plain(eta: float) -> str:
    return "as it was"


def steps_at(places: list[int], seed: int = 7) -> torch.Tensor:
    """The noise of two steps, by step and image."""
    executor = Executor(Sampler(sample_ancestral))
    noise = latents(len(places))
    drawn: torch.Tensor = wrapper(seed, places)(executor, None, None, {}, None, noise)
    return drawn


def test_the_node_goes_by_the_name_that_graphs_use() -> None:
    assert set(NODE_CLASS_MAPPINGS) == {NOISE_NODE}


def test_an_images_noise_does_not_depend_on_the_rest_of_its_batch() -> None:
    batch = steps_at([0, 1, 2, 3, 4, 5, 6, 7])
    assert torch.equal(steps_at([5])[:, 0], batch[:, 5])
    assert torch.equal(steps_at([2, 5])[:, 1], batch[:, 5])


def test_noise_differs_by_place_step_and_seed() -> None:
    batch = steps_at([0, 1])
    assert not torch.equal(batch[0, 0], batch[0, 1])
    assert not torch.equal(batch[0, 0], batch[1, 0])
    assert not torch.equal(batch, steps_at([0, 1], seed=8))
    assert noise_seed(7, 1) != noise_seed(71, 0)


def test_noise_is_like_the_latents_and_normal() -> None:
    drawn = gaussian_noise(latents(8), list(range(8)))(1.0, 0.0)
    assert (drawn.shape, drawn.dtype) == (latents(8).shape, torch.float16)
    assert drawn.float().mean().abs() < 0.1
    assert abs(drawn.float().std() - 1) < 0.1


def test_a_sampler_without_noise_of_its_own_runs_as_it_is() -> None:
    sampler = Sampler(sample_plain)
    assert wrapper(7, [0])(Executor(sampler), None, None, {}, None, latents(1)) == "as it was"
    assert sampler.extra_options == {"eta": 1.0}


def test_the_options_that_samplers_share_are_left_alone() -> None:
    sampler = Sampler(sample_ancestral)
    shared = sampler.extra_options
    wrapper(7, [0])(Executor(sampler), None, None, {}, None, latents(1))
    assert shared == {"eta": 1.0}


def test_as_many_images_as_places() -> None:
    with pytest.raises(ValueError, match="2 images are sampled instead of 1"):
        wrapper(7, [0])(Executor(Sampler(sample_ancestral)), None, None, {}, None, latents(2))
