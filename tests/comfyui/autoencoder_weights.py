"""An autoencoder of TAESD's shape that keeps the mean colour of each 8x8 tile.

It is set by hand, so that a picture survives encoding and decoding: what img2img keeps and what
inpainting leaves alone can be seen in the pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_WIDTH = 64
_LATENT = 4
# ComfyUI scales SD 1.5's latents by this between autoencoder and sampler.
_SD15_SCALE = 0.18215
# Black to white in latents is this much: about the spread of what the sampler ends with.
_CONTRAST = 3.0
# What the decoder's soft clamp, tanh(x / 3) * 3, leaves of it.
_CLAMPED_CONTRAST = 6 * math.tanh(_CONTRAST / 6)
_ENCODER_STRIDES = (2, 6, 10)
_ENCODER_LAST = 14
_DECODER_PLAIN = (7, 12, 17)
_DECODER_LAST = 19


def autoencoder_weights() -> dict[str, Tensor]:
    """Return the tensors, named as in a checkpoint but without ``first_stage_model.``."""
    tensors = {"vae_scale": torch.tensor(_SD15_SCALE), "vae_shift": torch.tensor(0.0)}
    tensors |= {f"taesd_encoder.{name}": tensor for name, tensor in _encoder().items()}
    tensors |= {f"taesd_decoder.{name}": tensor for name, tensor in _decoder().items()}
    return tensors


def _encoder() -> dict[str, Tensor]:
    tensors = _convolution("0", 3, _WIDTH)
    _center(tensors["0.weight"])[:3] = torch.eye(3)
    for index in range(1, _ENCODER_LAST):
        if index in _ENCODER_STRIDES:
            tensors |= _convolution(f"{index}", _WIDTH, _WIDTH, bias=False)
            for channel in range(3):
                tensors[f"{index}.weight"][channel, channel, 1:, 1:] = 1 / 4
        else:
            tensors |= _block(f"{index}")
    tensors |= _convolution(f"{_ENCODER_LAST}", _WIDTH, _LATENT)
    last = _center(tensors[f"{_ENCODER_LAST}.weight"])
    last[:3, :3] = torch.eye(3) * _CONTRAST
    last[3, :3] = _CONTRAST / 3
    tensors[f"{_ENCODER_LAST}.bias"].fill_(-_CONTRAST / 2)
    return tensors


def _decoder() -> dict[str, Tensor]:
    tensors = _convolution("1", _LATENT, _WIDTH)
    _center(tensors["1.weight"])[:3, :3] = torch.eye(3) / _CLAMPED_CONTRAST
    tensors["1.bias"][:3] = 0.5
    for index in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18):
        tensors |= _block(f"{index}")
    for index in _DECODER_PLAIN:
        tensors |= _convolution(f"{index}", _WIDTH, _WIDTH, bias=False)
        _center(tensors[f"{index}.weight"])[:3, :3] = torch.eye(3)
    tensors |= _convolution(f"{_DECODER_LAST}", _WIDTH, 3)
    _center(tensors[f"{_DECODER_LAST}.weight"])[:, :3] = torch.eye(3)
    return tensors


def _block(name: str) -> dict[str, Tensor]:
    """A residual block that adds nothing."""
    tensors: dict[str, Tensor] = {}
    for index in (0, 2, 4):
        tensors |= _convolution(f"{name}.conv.{index}", _WIDTH, _WIDTH)
    return tensors


def _convolution(name: str, inputs: int, outputs: int, *, bias: bool = True) -> dict[str, Tensor]:
    tensors = {f"{name}.weight": torch.zeros(outputs, inputs, 3, 3)}
    if bias:
        tensors[f"{name}.bias"] = torch.zeros(outputs)
    return tensors


def _center(weight: Tensor) -> Tensor:
    return weight[:, :, 1, 1]
