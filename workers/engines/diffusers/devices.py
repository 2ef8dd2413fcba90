"""What the engine runs on, in which precision, and what happens when its memory is full."""

from __future__ import annotations

import gc
import platform
from dataclasses import dataclass
from typing import Any

from workers.engines.diffusers.folders import PipelineFolder

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""How torch says it where it has no exception of its own for it: on MPS and on the CPU."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of torch."""

    name: str
    """As torch calls it: ``cpu``, ``cuda`` (ROCm too), ``cuda:1``, ``mps``."""
    text: str
    """As histories call it, such as ``cuda NVIDIA H100`` or ``cpu x86_64 AVX2, 8 threads``: all
    that the rounding of kernels depends on."""

    @property
    def kind(self) -> str:
        """Its name without a number."""
        return self.name.partition(":")[0]


def find_device(wanted: str | None = None) -> Device:
    """The device to use: the one that is wanted, else a GPU if there is one, else the CPU."""
    import torch

    name = wanted or _best_device(torch)
    return Device(name, _text_of(torch, name))


def precision_on(device: Device, folder: PipelineFolder) -> Any:
    """The torch type that a pipeline's weights are loaded as.

    CPUs compute with 32 bits fastest. On GPUs half the bits are twice the speed and half the
    memory; models whose values leave the range of ``float16`` need ``bfloat16`` for that, which
    keeps the range, so that no part of them has to be run in 32 bits.
    """
    import torch

    if device.kind == "cpu":
        return torch.float32
    if folder.has_wide_range and _knows_bfloat16(torch, device):
        return torch.bfloat16
    return torch.float16


def make_repeatable() -> None:
    """Let torch choose the same kernels each time, as far as it can."""
    import torch

    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def _text_of(torch: Any, name: str) -> str:
    if name.startswith("cuda"):
        return f"{'rocm' if torch.version.hip else 'cuda'} {torch.cuda.get_device_name(name)}"
    machine = platform.machine()
    if name != "cpu":
        return f"{name} {machine}"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"cpu {machine} {instructions}, threads {torch.get_num_threads()}"


def _knows_bfloat16(torch: Any, device: Device) -> bool:
    return bool(torch.cuda.is_bf16_supported()) if device.kind == "cuda" else device.kind == "mps"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        word in str(error).lower() for word in _OUT_OF_MEMORY
    )


def free_memory() -> None:
    """Give back what is held for nothing, so that the next batch finds it free."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
