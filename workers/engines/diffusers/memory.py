"""Running out of the device's memory."""

from __future__ import annotations

import gc

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
"""How torch says it where it has no exception of its own for it: on MPS and on the CPU."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


def free_memory() -> None:
    """Give back what is held for nothing, so that the next batch finds it free."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
