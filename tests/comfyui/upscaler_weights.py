"""An upscaler of Real-ESRGAN's shape that makes four times four pixels of each."""

from __future__ import annotations

import torch
from torch import Tensor

_FEATURES = 8
_GROWTH = 32
_BLOCKS = 2


def upscaler_weights() -> dict[str, Tensor]:
    """Return the tensors of the file."""
    tensors = _convolution("conv_first", 3, _FEATURES)
    for block in range(_BLOCKS):
        for part in (1, 2, 3):
            for index in range(1, 6):
                inputs = _FEATURES + (index - 1) * _GROWTH
                outputs = _FEATURES if index == 5 else _GROWTH
                name = f"body.{block}.rdb{part}.conv{index}"
                tensors |= _convolution(name, inputs, outputs, kept=0)
    tensors |= _convolution("conv_body", _FEATURES, _FEATURES, kept=0)
    for name in ("conv_up1", "conv_up2", "conv_hr"):
        tensors |= _convolution(name, _FEATURES, _FEATURES)
    return tensors | _convolution("conv_last", _FEATURES, 3)


def _convolution(name: str, inputs: int, outputs: int, *, kept: int = 3) -> dict[str, Tensor]:
    weight = torch.zeros(outputs, inputs, 3, 3)
    weight[:kept, :kept, 1, 1] = torch.eye(kept)
    return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}
