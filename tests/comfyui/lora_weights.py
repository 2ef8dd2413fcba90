"""A real LoRA for the tiny checkpoint: rank 4, on its U-Net's attention, with kohya's names."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.comfyui.filling import Filling
from tests.comfyui.unet_weights import CHANNELS, CONTEXT

_RANK = 4
_STRENGTH = 8.0
_PLACES = ("down_blocks_0_attentions_0", "mid_block_attentions_0", "up_blocks_0_attentions_1")


def lora_weights(seed: int) -> dict[str, Tensor]:
    """Return the tensors of the file; with another seed it changes pictures in another way."""
    filling = Filling(seed)
    for place in _PLACES:
        for layer, inputs in (("attn1_to_v", CHANNELS), ("attn2_to_v", CONTEXT)):
            name = f"lora_unet_{place}_transformer_blocks_0_{layer}"
            gain = _STRENGTH
            filling.linear(f"{name}.lora_down", inputs, _RANK, gain=gain, bias=False)
            filling.linear(f"{name}.lora_up", _RANK, CHANNELS, bias=False)
            filling.tensors[f"{name}.alpha"] = torch.tensor(float(_RANK))
    return {name: tensor.to(torch.float16) for name, tensor in filling.tensors.items()}
