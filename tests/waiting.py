"""Waiting for what happens elsewhere: in another thread, process or server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

DEADLINE_SECONDS = 120.0
_LOOKS_PER_SECOND = 100


def wait_until(
    happened: Callable[[], Found], what: str, seconds: float = DEADLINE_SECONDS
) -> Found:
    """Look again and again until something is true, and return it.

    :raises TimeoutError: with ``what`` did not happen.
    """
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(1 / _LOOKS_PER_SECOND)
    return found
