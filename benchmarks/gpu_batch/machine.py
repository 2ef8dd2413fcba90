"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Final

import torch

from workers.engines.diffusers.devices import Device, find_device

_GIB: Final = 2**30


def describe(device: Device, limit_gib: float | None) -> dict[str, str | int | float | None]:
    """The machine and the versions, without anything that names it.

    :param limit_gib: what the process may take of the GPU's memory; None for all of it.
    """
    return {
        "device": device.text,
        "memory_gib": _memory_gib(device),
        "memory_limit_gib": limit_gib,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "diffusers": version("diffusers"),
    }


def limit_memory(device: Device, gib: float) -> None:
    """Let this process have no more of the GPU's memory, as if the GPU were a smaller one.

    :raises ValueError: when there is no such GPU, or it has less.
    """
    has = _memory_gib(device)
    if has is None:
        raise ValueError("only the memory of a CUDA or ROCm GPU can be limited")
    if not 0 < gib <= has:
        raise ValueError(f"the GPU has {has} GiB")
    torch.cuda.set_per_process_memory_fraction(gib / has, device.name)


def use_one_thread() -> Device:
    """The CPU with one thread: tiny layers gain nothing from more, which wait for each other."""
    torch.set_num_threads(1)
    return find_device("cpu")


def _memory_gib(device: Device) -> float | None:
    if device.kind != "cuda":
        return None
    return round(torch.cuda.get_device_properties(device.name).total_memory / _GIB, 1)
