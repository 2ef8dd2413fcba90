"""LoRAs: laid over a model one after another, each with its strengths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from domain.models.loras import Lora
from workers.engines.comfyui.graph.models import Loaded
from workers.engines.comfyui.graph.nodes import Graph, outputs
from workers.models.lora_file import LoraFile


def with_loras(graph: Graph, loaded: Loaded, loras: Iterable[tuple[Lora, LoraFile]]) -> Loaded:
    """Return the model with the LoRAs over its denoiser and its text encoders, in this order."""
    for lora, file in loras:
        first = graph.add(
            "LoraLoader",
            model=loaded.model,
            clip=loaded.clip,
            lora_name=file.name,
            strength_model=lora.model,
            strength_clip=lora.clip,
        )
        model, clip = outputs(first, 2)
        loaded = replace(loaded, model=model, clip=clip)
    return loaded
