"""Files that look like models as far as their headers go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]

DENOISER = "model.diffusion_model."
SD_1: Shapes = {
    f"{DENOISER}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (3, 768),
    "cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77),
    "first_stage_model.decoder.conv_in.bias": (5,),
}
SD_2: Shapes = {
    f"{DENOISER}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (3, 1024),
    "cond_stage_model.model.ln_final.bias": (4,),
}
SDXL: Shapes = {
    f"{DENOISER}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (3, 2048),
    "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias": (4,),
}
FLUX: Shapes = {
    "double_blocks.0.img_attn.qkv.weight": (6, 2),
    "vector_in.in_layer.weight": (2, 3),
    "txt_in.weight": (2, 3),
}


def write_safetensors(path: Path, shapes: Shapes, fill: int = 0) -> bytes:
    """Write a whole file of 8-bit tensors with these shapes, and return it."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        size = 1
        for side in shape:
            size *= side
        header[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    told = json.dumps(header).encode()
    data = len(told).to_bytes(8, "little") + told + bytes([fill]) * end
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data
