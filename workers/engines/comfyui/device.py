"""What a ComfyUI is and what it runs on, in the words of the history."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


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
