"""The shapes of the models: layers and widths as published, and the same in small.

The cost of a step depends on these alone, not on what a model has learnt.
Source of the figures: the ``config.json`` files of runwayml's stable-diffusion-v1-5 and of
stabilityai's stable-diffusion-xl-base-1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TEXT_LENGTH: Final = 77
"""Tokens that the text encoders read."""

LATENT_SCALE: Final = 8
"""Pixels along the side of one latent."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A family of models with the image size that it was trained on."""

    name: str
    """As options and JSON lines call it."""
    title: str
    side: int
    """Pixels along the side of the square images that it was trained on."""
    maxima: tuple[int, ...]
    """Sides, in pixels, of the largest images that a worker might declare; ascending."""
    unet: Mapping[str, Any]
    """Arguments of diffusers' ``UNet2DConditionModel``."""
    vae: Mapping[str, Any]
    """Arguments of diffusers' ``AutoencoderKL``."""
    text_encoders: tuple[Mapping[str, Any], ...]
    """Arguments of transformers' ``CLIPTextConfig``; two make it SDXL."""

    @property
    def is_sdxl(self) -> bool:
        """Whether the pipeline is SDXL's."""
        return len(self.text_encoders) == 2


def _vae(side: int, widths: tuple[int, ...], groups: int, **more: Any) -> dict[str, Any]:
    return {
        "sample_size": side,
        "latent_channels": 4,
        "layers_per_block": 2,
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "norm_num_groups": groups,
        **more,
    }


def _text(width: int, layers: int, heads: int, activation: str) -> dict[str, Any]:
    return {
        "vocab_size": 49408,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "projection_dim": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": activation,
    }


def _sdxl_unet(side: int, widths: tuple[int, ...], words: int, pooled: int) -> dict[str, Any]:
    """What all U-Nets of SDXL's kind have in common.

    :param words: width of both text encoders together.
    :param pooled: width of the second one.
    """
    return {
        "sample_size": side // LATENT_SCALE,
        "block_out_channels": widths,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": words,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        # Six numbers of sizes and the second encoder's summary of the text.
        "projection_class_embeddings_input_dim": 6 * 256 + pooled,
    }


_SD15: Final = Shape(
    name="sd15",
    title="SD 1.5",
    side=512,
    maxima=(1024, 1536, 2048),
    unet={
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
    },
    vae=_vae(512, (128, 256, 512, 512), 32),
    text_encoders=(_text(768, 12, 12, "quick_gelu"),),
)

_SDXL: Final = Shape(
    name="sdxl",
    title="SDXL",
    side=1024,
    maxima=(1024, 1536, 2048, 3072),
    unet={
        **_sdxl_unet(1024, (320, 640, 1280), words=768 + 1280, pooled=1280),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
    },
    vae=_vae(1024, (128, 256, 512, 512), 32, scaling_factor=0.13025, force_upcast=True),
    text_encoders=(_text(768, 12, 12, "quick_gelu"), _text(1280, 32, 20, "gelu")),
)

_TINY_SD15: Final = Shape(
    name="tiny-sd15",
    title="SD 1.5, tiny",
    side=128,
    maxima=(),
    unet={
        "sample_size": 16,
        "block_out_channels": (32, 64, 128, 128),
        "attention_head_dim": 2,
        "cross_attention_dim": 64,
    },
    vae=_vae(128, (8, 16, 32, 32), 8),
    text_encoders=(_text(64, 2, 2, "quick_gelu"),),
)

_TINY_SDXL: Final = Shape(
    name="tiny-sdxl",
    title="SDXL, tiny",
    side=256,
    maxima=(),
    unet={
        **_sdxl_unet(256, (32, 64, 128), words=2 * 64, pooled=64),
        "transformer_layers_per_block": (1, 1, 2),
        "attention_head_dim": (1, 2, 4),
    },
    vae=_vae(256, (8, 16, 32, 32), 8, force_upcast=True),
    text_encoders=(_text(64, 2, 2, "quick_gelu"), _text(64, 2, 2, "gelu")),
)

REAL: Final = {"sd15": _SD15, "sdxl": _SDXL}
"""As published, by family."""

TINY: Final = {"sd15": _TINY_SD15, "sdxl": _TINY_SDXL}
"""The same blocks a tenth as wide, on a quarter of the side: for machines without a GPU."""
