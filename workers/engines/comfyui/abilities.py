"""What a ComfyUI can serve: only what its nodes and its models make possible."""

from __future__ import annotations

from domain.models.catalogue import Baseline
from domain.workers.bridges import Feature
from workers.engines.comfyui.graph.controlnet import can_control
from workers.engines.comfyui.graph.models import can_load
from workers.engines.comfyui.graph.post_processing import available
from workers.engines.comfyui.graph.sampling import NOISE_NODE
from workers.engines.comfyui.graph.tiling import can_tile
from workers.engines.comfyui.installed import Installed
from workers.engines.comfyui.ports import ModelFiles
from workers.engines.protocol import Abilities

_PAINTING_NODES = (
    "ImageCompositeMasked",
    "InvertMask",
    "LoadImageMask",
    "SetLatentNoiseMask",
    "VAEEncodeForInpaint",
)
_CONTROL_FEATURES = (Feature.IMAGE_IS_CONTROL, Feature.RETURN_CONTROL_MAP)


def abilities_of(installed: Installed, models: ModelFiles, *, loads_loras: bool) -> Abilities:
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
    installed: Installed, models: ModelFiles
) -> tuple[tuple[str, ...], frozenset[Baseline]]:
    files = {name: file for name in models.names() if (file := models.file_of(name)) is not None}
    there = {name: file for name, file in files.items() if can_load(file, installed)}
    return tuple(sorted(there)), frozenset(file.baseline for file in there.values())
