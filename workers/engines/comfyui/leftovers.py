"""What a worker that was killed left in ComfyUI's queue: nobody waits for it any more."""

from __future__ import annotations

from hashlib import sha256
from uuid import uuid4

import structlog

from workers.engines.comfyui.client import ComfyUIClient

_log = structlog.get_logger(__name__)

_MARK_LENGTH = 16


def mark_of(owner: str) -> str:
    """Return what the ids of all executions of a worker begin with.

    :param owner: what no other worker on the same ComfyUI is called.
    """
    return sha256(owner.encode()).hexdigest()[:_MARK_LENGTH]


def new_execution(mark: str) -> str:
    """Return an id that no other execution has, and that begins with a worker's mark."""
    return f"{mark}{uuid4().hex}"


def stop_leftovers(client: ComfyUIClient, mark: str) -> None:
    """Take a worker's executions out of the queue, and interrupt the one that runs.

    To be called while this process has none under way: then they are those of an earlier process,
    which was killed, and behind which the next batch would have to wait.

    :raises EngineFailed: when ComfyUI does not take it.
    """
    left = [each for each in client.queued() if each.startswith(mark)]
    for execution in left:
        client.unqueue(execution)
    for execution in client.running():
        if execution in left:
            client.interrupt(execution)
    if left:
        _log.warning("stopped what an earlier process had left in ComfyUI", executions=len(left))
