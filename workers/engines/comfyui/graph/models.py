"""Loading a model: from one file or from several, with LoRAs over it and, for tiles, joined edges.

The nodes for tiles are those of ``ComfyUI-seamless-tiling``, which an operator has to install:
convolutions that go on at the opposite edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.models.catalogue import Baseline
from domain.models.loras import Lora
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.nodes import Graph, Output, outputs
from workers.models.checkpoints import CheckpointFile, CheckpointKind
from workers.models.lora_versions import LoraFile

FAMILIES = frozenset(
    {Baseline.SD_1, Baseline.SD_2, Baseline.SD_2_512, Baseline.SDXL, Baseline.FLUX}
)
"""The families of models that graphs are built for."""

_FLUX_FILES = (
    ("DualCLIPLoader", "clip_name1", "t5xxl"),
    ("DualCLIPLoader", "clip_name2", "clip_l"),
    ("VAELoader", "vae_name", "ae"),
)
"""Loader, input, and how the names of fitting files begin, for a flux model's denoiser alone."""

_TILING_NODE = "SeamlessTile"
_TILING_DECODER = "CircularVAEDecode"


@dataclass(frozen=True, slots=True)
class ModelOutputs:
    """The parts of a loaded model."""

    model: Output
    """The denoiser."""
    clip: Output
    """The text encoders."""
    vae: Output


def can_load(file: CheckpointFile, installed: InstalledNodes) -> bool:
    """Whether a graph can load the file, with the files that lie beside it."""
    if file.baseline not in FAMILIES:
        return False
    if file.kind is CheckpointKind.CHECKPOINT:
        return file.name in installed.choices("CheckpointLoaderSimple", "ckpt_name")
    return (
        file.baseline is Baseline.FLUX
        and file.name in installed.choices("UNETLoader", "unet_name")
        and _flux_files(file, installed) is not None
    )


def load_model(graph: Graph, file: CheckpointFile, installed: InstalledNodes) -> ModelOutputs:
    """Add the loaders.

    :raises ValueError: when what belongs to a denoiser is missing (see :func:`can_load`).
    """
    if file.kind is CheckpointKind.CHECKPOINT:
        first = graph.add("CheckpointLoaderSimple", ckpt_name=file.name)
        return ModelOutputs(*outputs(first, 3))
    names = _flux_files(file, installed)
    if names is None:
        raise ValueError("the model's text encoders or its VAE are missing")
    t5, clip_l, vae = names
    return ModelOutputs(
        model=graph.add("UNETLoader", unet_name=file.name, weight_dtype="default"),
        clip=graph.add("DualCLIPLoader", clip_name1=t5, clip_name2=clip_l, type="flux"),
        vae=graph.add("VAELoader", vae_name=vae),
    )


def _flux_files(file: CheckpointFile, installed: InstalledNodes) -> tuple[str, str, str] | None:
    """Return the files of the two text encoders and the VAE; the catalogue's before any other."""
    parts = [part.name for part in file.parts]
    found = []
    for loader, name, beginning in _FLUX_FILES:
        listed = installed.choices(loader, name)
        fitting = [choice for choice in listed if _bare(choice).startswith(beginning)]
        chosen = next((choice for choice in fitting if choice in parts), None)
        if chosen is None and not fitting:
            return None
        found.append(chosen or fitting[0])
    return found[0], found[1], found[2]


def _bare(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].lower()


def with_loras(
    graph: Graph, loaded: ModelOutputs, loras: Iterable[tuple[Lora, LoraFile]]
) -> ModelOutputs:
    """Return the model with the LoRAs over its denoiser and its text encoders, in this order."""
    for lora, file in loras:
        first = graph.add(
            "LoraLoader",
            model=loaded.model,
            clip=loaded.clip,
            lora_name=file.name,
            strength_model=lora.model,
            strength_clip=lora.clip,
        )
        model, clip = outputs(first, 2)
        loaded = replace(loaded, model=model, clip=clip)
    return loaded


def can_tile(installed: InstalledNodes) -> bool:
    """Whether the nodes are there."""
    return installed.has(_TILING_NODE, _TILING_DECODER)


def with_tiling(graph: Graph, model: Output, installed: InstalledNodes) -> Output:
    """Return the model with its edges joined."""
    inputs = installed.completed(
        _TILING_NODE, model=model, tiling="enable", copy_model="Make a copy"
    )
    return graph.add(_TILING_NODE, **inputs)


def decode_tiling(graph: Graph, latent: Output, vae: Output, installed: InstalledNodes) -> Output:
    """Add a decoder that joins the edges as well."""
    inputs = installed.completed(_TILING_DECODER, samples=latent, vae=vae, tiling="enable")
    return graph.add(_TILING_DECODER, **inputs)
