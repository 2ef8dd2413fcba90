"""Post-processing: upscalers, face fixers and empty backgrounds, as far as they are installed.

Upscalers need only their models. Face fixers are those of the node pack ``facerestore_cf``, and
backgrounds are taken away by that of ``rembg-comfyui-node``.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.images.post_processing import FACE_FIXERS, POST_PROCESSORS, UPSCALERS
from domain.images.settings import ImageSettings
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.nodes import Graph, Output

STRIP_BACKGROUND = "strip_background"

_STRIP_NODE = "Image Remove Background (rembg)"
_UPSCALER_LOADER = "UpscaleModelLoader"
_UPSCALER_NODE = "ImageUpscaleWithModel"
_FACE_LOADER = "FaceRestoreModelLoader"
_FACE_NODE = "FaceRestoreCFWithModel"

_FILE_NAMES = {
    "4x_AnimeSharp": ("4x_AnimeSharp", "4x-AnimeSharp"),
    "CodeFormers": ("codeformer-v0.1.0", "codeformer", "CodeFormers"),
    "GFPGAN": ("GFPGANv1.4", "GFPGAN"),
    "NMKD_Siax": ("NMKD_Siax", "4x_NMKD-Siax_200k", "NMKD-Siax_200k"),
}
"""Names of the files of those post-processors that go by others than their own, without ending."""


def available(installed: InstalledNodes) -> tuple[str, ...]:
    """Return the post-processors that can be used, by their v2 names, sorted."""
    return tuple(sorted(name for name in POST_PROCESSORS if _is_there(name, installed)))


def post_process(
    graph: Graph, images: Output, settings: ImageSettings, installed: InstalledNodes
) -> Output:
    """Add the post-processors, in the order of the settings.

    But what takes the background away comes last, since the others want pictures without holes.

    :raises ValueError: when one is not there (see :func:`available`).
    """
    for name in _in_order(settings.post_processing):
        if not _is_there(name, installed):
            raise ValueError(f"the post-processor {name} is not installed")
        if name in UPSCALERS:
            images = _upscale(graph, images, _file(name, installed))
        elif name in FACE_FIXERS:
            images = _fix_faces(graph, images, _file(name, installed), settings, installed)
        else:
            images = graph.add(_STRIP_NODE, **installed.completed(_STRIP_NODE, image=images))
    return images


def _upscale(graph: Graph, images: Output, file: str) -> Output:
    upscaler = graph.add(_UPSCALER_LOADER, model_name=file)
    return graph.add(_UPSCALER_NODE, upscale_model=upscaler, image=images)


def _fix_faces(
    graph: Graph, images: Output, file: str, settings: ImageSettings, installed: InstalledNodes
) -> Output:
    fixer = graph.add(_FACE_LOADER, model_name=file)
    inputs = installed.completed(_FACE_NODE, facerestore_model=fixer, image=images)
    fixed = graph.add(_FACE_NODE, **inputs)
    if settings.facefixer_strength is None or settings.facefixer_strength >= 1:
        return fixed
    return graph.add(
        "ImageBlend",
        image1=images,
        image2=fixed,
        blend_factor=settings.facefixer_strength,
        blend_mode="normal",
    )


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: name == STRIP_BACKGROUND)


def _is_there(name: str, installed: InstalledNodes) -> bool:
    if name == STRIP_BACKGROUND:
        return installed.has(_STRIP_NODE)
    node = _UPSCALER_NODE if name in UPSCALERS else _FACE_NODE
    return installed.has(node) and _file_or_none(name, installed) is not None


def _file(name: str, installed: InstalledNodes) -> str:
    file = _file_or_none(name, installed)
    if file is None:
        raise ValueError(f"the model of the post-processor {name} is missing")
    return file


def _file_or_none(name: str, installed: InstalledNodes) -> str | None:
    loader = _UPSCALER_LOADER if name in UPSCALERS else _FACE_LOADER
    stems = {_stem(file): file for file in installed.choices(loader, "model_name")}
    names = _FILE_NAMES.get(name, (name,))
    return next((stems[each.lower()] for each in names if each.lower() in stems), None)


def _stem(file: str) -> str:
    bare = file.replace("\\", "/").rpartition("/")[2]
    return bare.rpartition(".")[0].lower()
