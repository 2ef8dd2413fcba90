"""Safetensors files: their tensors, read from the header alone, and the family that they show.

The format: eight bytes with the header's length, little-endian; a JSON object of that length; the
tensors' bytes (https://huggingface.co/docs/safetensors, "Format"). The marks of families are those
by which ComfyUI distinguishes them (`comfy/model_detection.py`, `supported_models.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from domain.models.catalogue import Baseline

LARGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

_LENGTH_BYTES = 8
_METADATA = "__metadata__"

Shapes = Mapping[str, tuple[int, ...]]
"""The tensors' shapes by their names."""

_BY_TEXT_ENCODER = (
    ("conditioner.embedders.", Baseline.SDXL),
    ("cond_stage_model.model.", Baseline.SD_2),
    ("cond_stage_model.", Baseline.SD_1),
)
"""How names of an embedded text encoder begin, the first that fits."""

_BY_CONTEXT_WIDTH = {768: Baseline.SD_1, 1024: Baseline.SD_2, 2048: Baseline.SDXL}
"""How wide the text is that a U-Net attends to."""

_DENOISER = "model.diffusion_model."
_FLUX_MARKS = ("double_blocks.0.", "vector_in.", "txt_in.weight")
_CONTEXT_KEY = "attn2.to_k.weight"


class NotSafetensors(Exception):
    """A file is not what its name says, or not all of it is there."""


def shapes_of(path: Path) -> Shapes:
    """Return the shapes of a file's tensors, having checked that the file is as long as it says.

    :raises NotSafetensors: when it is no whole safetensors file.
    :raises OSError: when it cannot be read.
    """
    with path.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(0)
        length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - _LENGTH_BYTES):
            raise NotSafetensors("it has no header of safetensors")
        header = opened.read(length)
    try:
        tensors = {
            name: (tuple(int(side) for side in entry["shape"]), int(entry["data_offsets"][1]))
            for name, entry in json.loads(header).items()
            if name != _METADATA
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise NotSafetensors("its header cannot be read") from None
    end = max((end for _, end in tensors.values()), default=0)
    if size != _LENGTH_BYTES + length + end:
        raise NotSafetensors("it is longer or shorter than its header says")
    return {name: shape for name, (shape, _) in tensors.items()}


def family_of(shapes: Shapes) -> Baseline | None:
    """Return the family of a model with these tensors; None when it is none of those known here.

    SD 2's two resolutions cannot be distinguished: both are :attr:`Baseline.SD_2`.
    """
    own = {name.removeprefix(_DENOISER) for name in shapes}
    if all(any(name.startswith(mark) for name in own) for mark in _FLUX_MARKS):
        return Baseline.FLUX
    for beginning, family in _BY_TEXT_ENCODER:
        if any(name.startswith(beginning) for name in shapes):
            return family
    widths = {
        shape[1]
        for name, shape in shapes.items()
        if name.endswith(_CONTEXT_KEY) and len(shape) > 1 and "block" in name
    }
    return _BY_CONTEXT_WIDTH.get(widths.pop()) if len(widths) == 1 else None


def is_checkpoint(shapes: Shapes) -> bool:
    """Whether these are the tensors of a checkpoint, whose denoiser's names set it apart.

    ComfyUI loads the denoiser alone from its folders of diffusion models only.
    """
    return any(name.startswith(_DENOISER) for name in shapes)
