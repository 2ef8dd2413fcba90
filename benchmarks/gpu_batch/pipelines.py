"""Pipeline folders with random weights, for an engine that reads folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmarks.gpu_batch.shapes import TEXT_LENGTH, Shape
from workers.engines.diffusers.devices import free_memory, is_out_of_memory
from workers.engines.protocol import OutOfMemory
from workers.scenes.text import build_tokenizer


def save_pipeline(shape: Shape, folder: Path, device: str) -> None:
    """Write a pipeline of that shape; nothing is fetched.

    :param device: where the weights are drawn. On a GPU that takes seconds, and they are written
        with 16 bits, as published ones are for use; on a CPU with 32, as it computes.
    :raises OutOfMemory: when the device cannot hold the weights.
    """
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        build_pipeline(shape, device, _precision(shape, device)).save_pretrained(folder)
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory("the weights do not fit") from None
        raise
    finally:
        # What is still held for these weights would be missing to the engine.
        free_memory()


def build_pipeline(shape: Shape, device: str, precision: torch.dtype) -> Any:
    """A pipeline of that shape with the weights that its layers begin with.

    :param device: where the weights lie, as torch calls it.
    """
    # Only here, since what it says of missing extras while it is imported can be silenced before.
    import diffusers

    tokenizer = build_tokenizer()
    tokenizer.model_max_length = TEXT_LENGTH
    with _weights_on(device, precision):
        parts: dict[str, Any] = {
            "vae": diffusers.AutoencoderKL(**shape.vae),
            "unet": diffusers.UNet2DConditionModel(**shape.unet),
            "text_encoder": CLIPTextModel(_text_config(shape, 0, tokenizer)),
        }
        if shape.is_sdxl:
            second = _text_config(shape, 1, tokenizer)
            parts["text_encoder_2"] = CLIPTextModelWithProjection(second)
    parts["tokenizer"] = tokenizer
    parts["scheduler"] = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    if shape.is_sdxl:
        return diffusers.StableDiffusionXLPipeline(**parts, tokenizer_2=tokenizer)
    return diffusers.StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def _text_config(shape: Shape, index: int, tokenizer: Any) -> Any:
    return CLIPTextConfig(
        **shape.text_encoders[index],
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _precision(shape: Shape, device: str) -> torch.dtype:
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if shape.is_sdxl else torch.float16


@contextmanager
def _weights_on(device: str, precision: torch.dtype) -> Iterator[None]:
    usual = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(precision)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(usual)
