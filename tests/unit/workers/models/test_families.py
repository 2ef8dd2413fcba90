"""What the header of a safetensors file tells of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from domain.models.catalogue import Baseline
from tests.unit.workers.models.checkpoint_files import (
    DENOISER,
    FLUX,
    SD_1,
    SD_2,
    SDXL,
    Shapes,
    write_safetensors,
)
from workers.models.safetensors import NotSafetensors, family_of, shapes_of

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (SD_1, Baseline.SD_1),
        (SD_2, Baseline.SD_2),
        (SDXL, Baseline.SDXL),
        (FLUX, Baseline.FLUX),
        ({f"{DENOISER}{name}": shape for name, shape in FLUX.items()}, Baseline.FLUX),
        ({ATTENTION: (320, 768)}, Baseline.SD_1),
        ({ATTENTION: (320, 1024)}, Baseline.SD_2),
        ({ATTENTION: (640, 2048)}, Baseline.SDXL),
        ({ATTENTION: (640, 1280)}, None),
        # Chroma has no vector_in, Hunyuan Video another txt_in.
        ({name: shape for name, shape in FLUX.items() if "vector_in" not in name}, None),
        ({"lora_unet_down_blocks_0.lora_up.weight": (4, 4)}, None),
        ({}, None),
    ],
)
def test_a_models_family_shows_in_its_tensors(shapes: Shapes, family: Baseline | None) -> None:
    assert family_of(shapes) is family


def test_the_header_of_a_real_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "real.safetensors"
    save_file({"a": np.zeros((2, 3), np.float16), "b": np.zeros((), np.float32)}, path)
    assert shapes_of(path) == {"a": (2, 3), "b": ()}


def test_a_file_that_is_not_whole_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    data = write_safetensors(path, SD_1)
    assert shapes_of(path) == SD_1
    for broken in (data[:-1], data + b"x", data[:20], data[:7], b"", b"\xff" * 64):
        path.write_bytes(broken)
        with pytest.raises(NotSafetensors):
            shapes_of(path)


@pytest.mark.parametrize(
    "header",
    [[], {"a": []}, {"a": {"shape": [1]}}, {"a": {"shape": 1, "data_offsets": [0, 1]}}, "x"],
)
def test_a_header_that_makes_no_sense_is_none(tmp_path: Path, header: object) -> None:
    path = tmp_path / "model.safetensors"
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told)
    with pytest.raises(NotSafetensors):
        shapes_of(path)
