"""Garbage collection while a process starts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Import and build what stays to the end with no collection on the way, but one when done.

    Otherwise the collector walks a growing heap again and again, which took a third of the time to
    import an engine. What is left is then frozen: no later collection walks it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
