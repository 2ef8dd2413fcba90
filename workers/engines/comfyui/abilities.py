"""What a ComfyUI can serve, from its nodes and its models, and what it runs on."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from domain.models.catalogue import Baseline
from domain.workers.bridges import Feature
from workers.engines.comfyui.graph.controlnet import can_control
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.models import can_load, can_tile
from workers.engines.comfyui.graph.post_processing import available
from workers.engines.comfyui.graph.sampling import NOISE_NODE
from workers.engines.protocol import Abilities
from workers.models.checkpoints import CheckpointFile

_PAINTING_NODES = (
    "ImageCompositeMasked",
    "InvertMask",
    "LoadImageMask",
    "SetLatentNoiseMask",
    "VAEEncodeForInpaint",
)
_CONTROL_FEATURES = (Feature.IMAGE_IS_CONTROL, Feature.RETURN_CONTROL_MAP)

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ModelFiles(Protocol):
    """The models on ComfyUI's disk."""

    def names(self) -> Collection[str]:
        """Return the models that are there, as requests know them."""

    def file_of(self, model: str) -> CheckpointFile | None:
        """Return the file of a model; None when it is not there, or is not what it should be."""


def abilities_of(installed: InstalledNodes, models: ModelFiles, *, loads_loras: bool) -> Abilities:
    """Return what can be asked of it.

    :param loads_loras: whether there is somewhere to get LoRAs from.
    """
    names, families = _models(installed, models)
    post_processors = available(installed)
    lora = loads_loras and installed.has("LoraLoader")
    controlnet = can_control(installed, Baseline.SD_1)
    features: set[str] = {Feature.CLIP_SKIP, Feature.HIRES_FIX, *post_processors}
    wanted = {
        Feature.FLUX: Baseline.FLUX in families,
        Feature.LORA_VERSIONS: lora,
        Feature.REPLICATION: installed.has(NOISE_NODE),
        Feature.TEXTUAL_INVERSION: lora and bool(installed.embeddings),
        Feature.TILING: can_tile(installed),
        **dict.fromkeys(_CONTROL_FEATURES, controlnet),
    }
    features |= {feature for feature, there in wanted.items() if there}
    return Abilities(
        models=names,
        img2img=installed.has("LoadImage", "VAEEncode", "RepeatLatentBatch"),
        painting=installed.has(*_PAINTING_NODES),
        lora=lora,
        controlnet=controlnet,
        sdxl_controlnet=can_control(installed, Baseline.SDXL),
        post_processing=bool(post_processors),
        features=tuple(sorted(str(feature) for feature in features)),
    )


def _models(
    installed: InstalledNodes, models: ModelFiles
) -> tuple[tuple[str, ...], frozenset[Baseline]]:
    files = {name: file for name in models.names() if (file := models.file_of(name)) is not None}
    there = {name: file for name, file in files.items() if can_load(file, installed)}
    return tuple(sorted(there)), frozenset(file.baseline for file in there.values())


@dataclass(frozen=True, slots=True)
class Machine:
    """The circumstances that decide whether a batch gives the same bits again."""

    engine: str
    """Versions of ComfyUI and of torch, such as ``ComfyUI 0.3.75, torch 2.13.0+cu130``."""
    device: str
    """Such as ``cuda NVIDIA H100 80GB HBM3`` or ``cpu x86_64``."""


def machine_of(stats: Mapping[str, Any], host: str) -> Machine:
    """Read the answer of ``GET /system_stats``.

    :param host: the server's host; of a CPU elsewhere the kind is not known.
    """
    system = stats.get("system")
    system = system if isinstance(system, dict) else {}
    engine = f"ComfyUI {system.get('comfyui_version') or 'of unknown version'}"
    torch = system.get("pytorch_version")
    return Machine(
        engine=f"{engine}, torch {torch}" if torch else engine,
        device=_device(stats.get("devices"), host),
    )


def _device(devices: Any, host: str) -> str:
    first = devices[0] if isinstance(devices, list) and devices else None
    kind = first.get("type") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(kind, str):
        return "unknown"
    if kind == "cpu":
        return f"cpu {platform.machine()}" if host in _LOOPBACK else "cpu"
    # ``cuda:0 NVIDIA H100 80GB HBM3 : cudaMallocAsync``
    name = str(first.get("name", "")).partition(" : ")[0].strip()
    index, _, rest = name.partition(" ")
    name = rest if index.startswith(f"{kind}:") else name
    return f"{kind} {name}".strip()
