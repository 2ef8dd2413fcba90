"""ControlNet: the source image says where things are.

What a ControlNet looks at is drawn by the nodes of ``comfyui_controlnet_aux`` or of its forerunner;
ComfyUI itself only finds edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.images.controlnet import CONTROL_TYPES
from domain.models.catalogue import Baseline
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.nodes import Graph, Output, outputs
from workers.engines.comfyui.graph.sampling import Guidance

_LOADER = "ControlNetLoader"

_SD_2_MARKS = ("sd21", "v2", "sd2")


@dataclass(frozen=True, slots=True)
class _ControlType:
    """How one control type is served."""

    preprocessors: tuple[str, ...]
    """Nodes that draw what it looks at, the best first."""
    name_parts: tuple[str, ...]
    """What one of stands in the names of its models' files."""


_TYPES = {
    "canny": _ControlType(("CannyEdgePreprocessor", "Canny"), ("canny",)),
    "depth": _ControlType(("DepthAnythingPreprocessor", "MiDaS-DepthMapPreprocessor"), ("depth",)),
    "fakescribbles": _ControlType(("FakeScribblePreprocessor",), ("scribble",)),
    "hed": _ControlType(("HEDPreprocessor",), ("hed", "softedge")),
    "hough": _ControlType(("M-LSDPreprocessor",), ("mlsd",)),
    "normal": _ControlType(
        ("BAE-NormalMapPreprocessor", "MiDaS-NormalMapPreprocessor"), ("normal",)
    ),
    "openpose": _ControlType(("OpenposePreprocessor",), ("openpose",)),
    "scribble": _ControlType(("ScribblePreprocessor",), ("scribble",)),
    "seg": _ControlType(
        (
            "OneFormer-ADE20K-SemSegPreprocessor",
            "UniFormer-SemSegPreprocessor",
            "SemSegPreprocessor",
        ),
        ("seg",),
    ),
}


def can_control(installed: InstalledNodes, family: Baseline) -> bool:
    """Whether every control type of the v2 API works with models of this family."""
    return all(
        _file(installed, control_type, family) is not None
        and installed.first_of(*_TYPES[control_type].preprocessors) is not None
        for control_type in CONTROL_TYPES
    )


def control_map(
    graph: Graph, pixels: Output, control_type: str, installed: InstalledNodes, *, ready: bool
) -> Output:
    """Add what draws the map that a ControlNet looks at.

    :param ready: whether the image is that map already.
    :raises ValueError: when no node that draws it is installed.
    """
    if ready:
        return pixels
    kind = installed.first_of(*_TYPES[control_type].preprocessors)
    if kind is None:
        raise ValueError(f"nothing is installed that prepares the control type {control_type}")
    return graph.add(kind, **installed.completed(kind, image=pixels))


def with_control(
    graph: Graph,
    guidance: Guidance,
    hint: Output,
    control_type: str,
    family: Baseline,
    installed: InstalledNodes,
) -> Guidance:
    """Return the guidance with a ControlNet that looks at the map.

    :raises ValueError: when there is no such ControlNet for this family of models.
    """
    file = _file(installed, control_type, family)
    if file is None:
        raise ValueError(f"there is no ControlNet for the control type {control_type}")
    first = graph.add(
        "ControlNetApplyAdvanced",
        positive=guidance.positive,
        negative=guidance.negative,
        control_net=graph.add(_LOADER, control_net_name=file),
        image=hint,
        strength=1.0,
        start_percent=0.0,
        end_percent=1.0,
    )
    positive, negative = outputs(first, 2)
    return replace(guidance, positive=positive, negative=negative)


def _file(installed: InstalledNodes, control_type: str, family: Baseline) -> str | None:
    """Return the ControlNet of this type whose name says that it suits the family.

    One for SDXL has ``xl`` in its name, one for SD 2 ``sd21`` or the like; others are for SD 1.5.
    """
    for file in installed.choices(_LOADER, "control_net_name"):
        name = file.lower()
        if any(part in name for part in _TYPES[control_type].name_parts) and _suits(name, family):
            return file
    return None


def _suits(name: str, family: Baseline) -> bool:
    if "flux" in name or "sd3" in name:
        return False
    if "xl" in name:
        return family is Baseline.SDXL
    if any(mark in name for mark in _SD_2_MARKS):
        return family in (Baseline.SD_2, Baseline.SD_2_512)
    return family is Baseline.SD_1
