"""Prompts: what is written into them for LoRAs and textual inversions, and their encoding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from domain.models.loras import InjectionTarget, TextualInversion
from workers.engines.comfyui.graph.nodes import Graph, Output


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is drawn, and what is kept away."""

    positive: str
    negative: str


def with_embeddings(prompts: Prompts, tis: Iterable[tuple[TextualInversion, str]]) -> Prompts:
    """Put textual inversions where they are asked for.

    :param tis: each with the name of its file.
    """
    positive, negative = prompts.positive, prompts.negative
    for ti, name in tis:
        word = f"(embedding:{name}:{ti.strength:g})"
        if ti.inject_ti is InjectionTarget.PROMPT:
            positive = f"{positive}, {word}" if positive else word
        elif ti.inject_ti is InjectionTarget.NEGATIVE_PROMPT:
            negative = f"{negative}, {word}" if negative else word
    return Prompts(positive, negative)


def with_clip_skip(graph: Graph, clip: Output, settings: ImageSettings, family: Baseline) -> Output:
    """Have the text encoder stop at the layer that the settings name.

    flux reads its prompts with an encoder of another kind, whose last layer always counts.
    """
    if settings.clip_skip <= 1 or family is Baseline.FLUX:
        return clip
    return graph.add("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-settings.clip_skip)


def encode(graph: Graph, clip: Output, prompts: Prompts) -> tuple[Output, Output]:
    """Add the encoders of the prompt and of the negative one, in this order."""
    return (
        graph.add("CLIPTextEncode", clip=clip, text=prompts.positive),
        graph.add("CLIPTextEncode", clip=clip, text=prompts.negative),
    )
