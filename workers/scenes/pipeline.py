"""Puts the trained parts together as an ordinary pipeline folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline


def assemble(vae: Any, text_encoder: Any, tokenizer: Any, unet: Any, scheduler: Any) -> Any:
    """A pipeline of these parts, without the safety checker that photographs would need."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_pipeline(pipeline: Any, folder: Path) -> None:
    """Write the pipeline to ``folder`` with weights of 16 bits; the pipeline stays as it is."""
    modules = [copy.deepcopy(part) for part in (pipeline.vae, pipeline.text_encoder, pipeline.unet)]
    for module in modules:
        module.to(dtype=torch.float16)
    vae, text_encoder, unet = modules
    halved = assemble(vae, text_encoder, pipeline.tokenizer, unet, pipeline.scheduler)
    halved.save_pretrained(folder, safe_serialization=True)
