"""Pipelines of the real shapes, far too small to draw anything, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from workers.scenes.text import TEXT_LENGTH, build_tokenizer

_WIDTH = 32


def save_tiny_sd(folder: Path, seed: int = 0) -> Path:
    """Stable Diffusion 1: one text encoder, four latent channels, images of 64x64."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    pipeline: Any = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=_WIDTH),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_sdxl(folder: Path, seed: int = 0) -> Path:
    """SDXL: two text encoders, sizes as conditions, images of 64x64."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    unet = _unet(
        cross_attention_dim=2 * _WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + _WIDTH,
    )
    pipeline: Any = StableDiffusionXLPipeline(
        vae=_vae(force_upcast=True),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=_scheduler(),
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_flux(folder: Path, seed: int = 0) -> Path:
    """flux: a transformer that matches flows, a CLIP and a T5 text encoder."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    pipeline: Any = FluxPipeline(
        vae=_vae(shift_factor=0.1),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizer),
                d_model=_WIDTH,
                d_kv=8,
                d_ff=2 * _WIDTH,
                num_layers=2,
                num_heads=4,
            )
        ),
        tokenizer_2=tokenizer,
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=_WIDTH,
            pooled_projection_dim=_WIDTH,
            axes_dims_rope=(4, 4, 8),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder)
    return folder


def tiny_lora(
    folder: Path, *, unet: bool = True, text_encoder: bool = True, alpha: float = 4.0
) -> dict[str, Any]:
    """Weights of a LoRA for the pipeline in ``folder``, named as those that CivitAI has.

    :param alpha: what its strength is multiplied by, in quarters.
    """
    torch.manual_seed(5)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    parts = []
    if unet:
        parts.append(("lora_unet_", pipeline.unet))
    if text_encoder:
        parts.append(("lora_te_text_model_", pipeline.text_encoder))
    weights: dict[str, Any] = {}
    for prefix, part in parts:
        for name, module in part.named_modules():
            if name.endswith(("to_q", "to_out.0", "q_proj", "out_proj")):
                key = prefix + name.removeprefix("text_model.").replace(".", "_")
                weights[f"{key}.lora_down.weight"] = torch.randn(4, module.in_features)
                weights[f"{key}.lora_up.weight"] = torch.randn(module.out_features, 4)
                weights[f"{key}.alpha"] = torch.tensor(alpha)
    return weights


def _unet(**settings: Any) -> Any:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(_WIDTH, 2 * _WIDTH),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=8,
        **settings,
    )


def _vae(**settings: Any) -> Any:
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        sample_size=64,
        **settings,
    )


def _text_config(tokenizer: Any) -> Any:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        projection_dim=_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _scheduler() -> Any:
    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
