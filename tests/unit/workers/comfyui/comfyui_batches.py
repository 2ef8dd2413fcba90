"""Batches for ComfyUI's graphs, and what is installed in the ComfyUI that draws them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from tests.paths import ROOT
from workers.engines.comfyui.graph.drawing import Ingredients
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.protocol import Batch, Source
from workers.models.checkpoints import CheckpointFile, CheckpointKind
from workers.models.lora_versions import LoraFile

MODEL = "anything"
EXECUTION = "0123456789abcdef0123456789abcdef"
SAMPLE = ROOT / "tests" / "samples" / "comfyui" / "object_info.json"
SHA256 = "ab" * 32


def object_info() -> dict[str, Any]:
    """What a real ComfyUI 0.3.75 answered, cut down to the nodes that graphs use."""
    nodes: dict[str, Any] = json.loads(SAMPLE.read_text())
    return nodes


def installed(
    nodes: dict[str, Any] | None = None,
    files: Mapping[str, str] = MappingProxyType({}),
    *,
    embeddings: frozenset[str] = frozenset(),
) -> InstalledNodes:
    """A ComfyUI with more nodes, and one more file for each of these inputs of loaders."""
    known = object_info() | (nodes or {})
    for name, file in {"ckpt_name": f"{MODEL}.safetensors", **files}.items():
        for node in known.values():
            declared = node["input"]["required"].get(name)
            if declared is not None:
                node["input"]["required"][name] = with_choice(declared, file)
    return InstalledNodes(known, embeddings)


def with_choice(declared: list[Any], file: str) -> list[Any]:
    """An input's declaration with one more choice."""
    if declared[0] == "COMBO":
        return ["COMBO", {"options": [*declared[1]["options"], file]}]
    return [[*declared[0], file], *declared[1:]]


def node(*inputs: str) -> dict[str, Any]:
    """A node that has to be told these inputs and has no defaults for them."""
    return {"input": {"required": {name: ["*"] for name in inputs}}, "output": ["*"]}


def checkpoint(
    baseline: Baseline = Baseline.SD_1, kind: CheckpointKind = CheckpointKind.CHECKPOINT
) -> CheckpointFile:
    """The model's file."""
    name = f"{MODEL}.safetensors"
    return CheckpointFile(name, kind, Path(name), SHA256, baseline)


def lora_file(name: str, *trigger_words: str) -> LoraFile:
    """A LoRA's file."""
    return LoraFile(Path(name), name, "4711", SHA256, trigger_words)


def ingredients(
    baseline: Baseline = Baseline.SD_1, within: InstalledNodes | None = None, **more: Any
) -> Ingredients:
    """What the batch is drawn with."""
    return Ingredients(
        file=more.pop("file", checkpoint(baseline)),
        installed=within or installed(),
        execution=EXECUTION,
        **more,
    )


def batch(
    images: int = 4,
    *,
    indices: tuple[int, ...] | None = None,
    size: int | None = None,
    source: Source | None = None,
    **settings: Any,
) -> Batch:
    """A batch of 512x768 images, k_euler, 20 steps."""
    wanted = tuple(range(images)) if indices is None else indices
    usual: dict[str, Any] = {
        "width": 512,
        "height": 768,
        "steps": 20,
        "sampler": "k_euler",
        "cfg_scale": 6.5,
        "karras": True,
        "clip_skip": 1,
    }
    return Batch(
        job_id=UUID(int=1),
        image_ids=tuple(UUID(int=100 + place) for place in wanted),
        model=MODEL,
        prompt="a lighthouse",
        negative_prompt="fog",
        settings=ImageSettings(**usual | settings),
        seed=42,
        indices=wanted,
        size=size or len(wanted),
        source=source,
    )
