"""A tiny checkpoint that ComfyUI loads as SD 1.5, made by script: no download, no training.

Its pictures are mosaics of colour. They differ by seed and by place in the batch, follow the
prompt, and keep what img2img and inpainting have to keep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.comfyui.autoencoder_weights import autoencoder_weights
from tests.comfyui.text_encoder_weights import text_encoder_weights
from tests.comfyui.unet_weights import unet_weights

NAME = "tiny"
"""Its name, as requests know it."""
_SEED = 1
_SCRIPTS = (
    "autoencoder_weights.py",
    "checkpoint.py",
    "filling.py",
    "text_encoder_weights.py",
    "unet_weights.py",
)


def checkpoint_file(home: Path) -> Path:
    """Return the checkpoint in a folder, made anew whenever what makes it has changed; 340 MB."""
    return _kept(home / "checkpoints" / f"{NAME}-{_recipe()}.safetensors", _checkpoint)


def _checkpoint() -> dict[str, Tensor]:
    parts: Mapping[str, dict[str, Tensor]] = {
        "model.diffusion_model.": unet_weights(_SEED),
        "cond_stage_model.transformer.text_model.": text_encoder_weights(_SEED),
        "first_stage_model.": autoencoder_weights(),
    }
    return {
        prefix + name: tensor.to(torch.float16).contiguous()
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def _recipe() -> str:
    content = b"".join(Path(__file__).with_name(name).read_bytes() for name in _SCRIPTS)
    return sha256(content + torch.__version__.encode()).hexdigest()[:16]


def _kept(path: Path, make: Callable[[], dict[str, Tensor]]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.iterdir():
            old.unlink()
        unfinished = path.with_suffix(f".{os.getpid()}")
        save_file(make(), unfinished)
        unfinished.rename(path)
    return path
