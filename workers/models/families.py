"""The family of a model, told from the names and shapes of its tensors.

The marks are those by which ComfyUI tells them (`comfy/model_detection.py`, `supported_models.py`).
"""

from __future__ import annotations

from domain.models.catalogue import Baseline
from workers.models.safetensors_header import Shapes

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


def family_of(shapes: Shapes) -> Baseline | None:
    """Return the family of a model with these tensors; None when it is none of those known here.

    SD 2's two resolutions cannot be told apart: both are :attr:`Baseline.SD_2`.
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


def holds_more_than_a_denoiser(shapes: Shapes) -> bool:
    """Whether these are the tensors of a checkpoint, whose denoiser's names tell it from the rest.

    ComfyUI loads the denoiser alone from its folders of diffusion models only.
    """
    return any(name.startswith(_DENOISER) for name in shapes)
