"""A tiny ControlNet for the tiny checkpoint, in the format of the first ones for SD 1.5."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from tests.comfyui.filling import Filling
from tests.comfyui.unet_weights import CHANNELS, add_encoder

_HINT_CHANNELS = (3, 16, 16, 32, 32, 96, 96, 256, CHANNELS)
"""Every second of its convolutions is followed by an activation without weights."""
_SAY = 1.0


def controlnet_weights(seed: int) -> dict[str, Tensor]:
    """Return the tensors of the file."""
    filling = Filling(seed)
    add_encoder(filling)
    for index, (inputs, outputs) in enumerate(pairwise(_HINT_CHANNELS)):
        filling.convolution(f"input_hint_block.{2 * index}", inputs, outputs, gain=2.2)
    for index in range(2):
        filling.convolution(f"zero_convs.{index}.0", CHANNELS, CHANNELS, size=1, gain=_SAY)
    filling.convolution("middle_block_out.0", CHANNELS, CHANNELS, size=1, gain=_SAY)
    return {f"control_model.{name}": tensor for name, tensor in filling.tensors.items()}
