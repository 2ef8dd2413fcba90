"""A small U-Net of SD 1.5's kind that denoises to pictures worth comparing.

ComfyUI knows SD 1.5 by 320 channels and a context of 768; it reads the number of levels, one here,
from the tensors. A randomly filled U-Net predicts noise that has nothing to do with its input, and
all pictures come out alike. Here eight channels carry the input to the output unchanged, so that
most of it is taken for the noise that it is; the rest is random, and depends on place, step and
prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tests.comfyui.filling import Filling

CHANNELS = 320
CONTEXT = 768
LATENT = 4
_TIME = 4 * CHANNELS
_GROUP = CHANNELS // 32
# GroupNorm sees these eight channels and two that are zero.
_SPREAD_OF_GROUP = (8 / _GROUP) ** 0.5
# How strongly pictures follow prompt and network, as against their starting noise.
_OPINION = 0.4
# How much of its input it takes for noise. All of it, and nothing of the starting noise would be
# left after many steps: pictures would be alike again.
_BELIEF = 0.9
_ATTENTION_SHARPNESS = 2.0


def unet_weights(seed: int) -> dict[str, Tensor]:
    """Return the tensors, named as in a checkpoint but without ``model.diffusion_model.``."""
    filling = Filling(seed)
    add_encoder(filling)
    for index in range(2):
        _block(filling, f"output_blocks.{index}", 2 * CHANNELS)
    filling.norm("out.0", CHANNELS)
    filling.convolution("out.2", CHANNELS, LATENT, gain=_OPINION)
    _pass_input_through(filling.tensors)
    return filling.tensors


def add_encoder(filling: Filling) -> None:
    """Add the half that goes inwards, up to the middle; a ControlNet is a copy of it."""
    filling.linear("time_embed.0", CHANNELS, _TIME)
    filling.linear("time_embed.2", _TIME, _TIME)
    filling.convolution("input_blocks.0.0", LATENT, CHANNELS)
    _block(filling, "input_blocks.1", CHANNELS)
    _residual(filling, "middle_block.0", CHANNELS)
    _transformer(filling, "middle_block.1")
    _residual(filling, "middle_block.2", CHANNELS)


def _block(filling: Filling, name: str, inputs: int) -> None:
    _residual(filling, f"{name}.0", inputs)
    _transformer(filling, f"{name}.1")


def _residual(filling: Filling, name: str, inputs: int) -> None:
    filling.norm(f"{name}.in_layers.0", inputs)
    filling.convolution(f"{name}.in_layers.2", inputs, CHANNELS)
    filling.linear(f"{name}.emb_layers.1", _TIME, CHANNELS)
    filling.norm(f"{name}.out_layers.0", CHANNELS)
    filling.convolution(f"{name}.out_layers.3", CHANNELS, CHANNELS)
    if inputs != CHANNELS:
        filling.convolution(f"{name}.skip_connection", inputs, CHANNELS, size=1)


def _transformer(filling: Filling, name: str) -> None:
    filling.norm(f"{name}.norm", CHANNELS)
    filling.convolution(f"{name}.proj_in", CHANNELS, CHANNELS, size=1)
    block = f"{name}.transformer_blocks.0"
    for attention, context in (("attn1", CHANNELS), ("attn2", CONTEXT)):
        layer = f"{block}.{attention}"
        sharp = _ATTENTION_SHARPNESS
        filling.linear(f"{layer}.to_q", CHANNELS, CHANNELS, gain=sharp, bias=False)
        filling.linear(f"{layer}.to_k", context, CHANNELS, gain=sharp, bias=False)
        filling.linear(f"{layer}.to_v", context, CHANNELS, gain=2.0, bias=False)
        filling.linear(f"{layer}.to_out.0", CHANNELS, CHANNELS)
    filling.linear(f"{block}.ff.net.0.proj", CHANNELS, 8 * CHANNELS)
    filling.linear(f"{block}.ff.net.2", 4 * CHANNELS, CHANNELS)
    for index in (1, 2, 3):
        filling.norm(f"{block}.norm{index}", CHANNELS)
    filling.convolution(f"{name}.proj_out", CHANNELS, CHANNELS, size=1)


def _pass_input_through(tensors: dict[str, Tensor]) -> None:
    """Let the first group of channels hold x and -x from the first layer to the last.

    ``silu(x) - silu(-x)`` is ``x``, so the pair survives the activation before the last layer.
    """
    signs = torch.cat([torch.eye(LATENT), -torch.eye(LATENT)])
    pairs = len(signs)
    first = tensors["input_blocks.0.0.weight"]
    first[:_GROUP] = 0
    first[:pairs, :, 1, 1] = signs
    skip = tensors["output_blocks.1.0.skip_connection.weight"]
    skip[:_GROUP] = 0
    skip[:pairs, CHANNELS : CHANNELS + pairs, 0, 0] = torch.eye(pairs)
    for added in ("output_blocks.1.0.out_layers.3", "output_blocks.1.1.proj_out"):
        tensors[f"{added}.weight"][:_GROUP] = 0
    tensors["output_blocks.1.0.emb_layers.1.weight"][:_GROUP] = 0
    last = tensors["out.2.weight"]
    last[:, :_GROUP] = 0
    last[:, :pairs, 1, 1] = signs.T * (_BELIEF * _SPREAD_OF_GROUP)
