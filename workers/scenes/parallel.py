"""Training in several processes of one thread each, which share their gradients.

On a few CPU cores this is faster than one process with several threads, because the layers are
small and threads would have to wait for each other in every one of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn


def run_together(work: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Call ``work(rank, *arguments)`` in each process and wait; one process means right here.

    ``work`` and the arguments must be picklable.

    :raises Exception: when one of the processes fails; the others are stopped.
    """
    if processes <= 1:
        work(0, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{os.path.join(folder, 'meeting')}"
        spawn(_start, (work, meeting, processes, arguments), nprocs=processes)


def share_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes."""
    if not distributed.is_initialized():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(together)
    together /= distributed.get_world_size()
    offset = 0
    for gradient in gradients:
        gradient.copy_(together[offset : offset + gradient.numel()].view_as(gradient))
        offset += gradient.numel()


def agree(value: float) -> float:
    """The largest ``value`` of all processes, so that all of them take the same decision."""
    if not distributed.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
    return float(shared)


def share_weights(module: nn.Module) -> None:
    """Give every process the weights of the first one."""
    if distributed.is_initialized():
        tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        for tensor in tensors:
            distributed.broadcast(tensor.data, 0)


def _start(
    rank: int, work: Callable[..., None], meeting: str, processes: int, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    try:
        work(rank, *arguments)
    finally:
        distributed.destroy_process_group()
