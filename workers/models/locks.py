"""Locks that processes of one machine share: a file each, released when its process dies.

Not ``filelock``, whose lock on ``flock`` cannot be shared by several readers.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_AGAIN_SECONDS = 0.1


class LockTaken(OSError):
    """Another process holds the lock."""


class HeldLock:
    """A lock that is held until it is let go of, or the process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self, *, remove: bool = False) -> None:
        """Let go of it.

        :param remove: whether its file goes, too; only who holds it alone may say so.
        """
        try:
            if remove:
                self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def try_lock(path: Path, *, shared: bool = False) -> HeldLock:
    """Take a lock at once.

    :param shared: with others who share it; otherwise alone.
    :raises LockTaken: when it cannot be had now.
    :raises OSError: when its file cannot be made.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if _is_still_there(path, descriptor):
                return HeldLock(path, descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise LockTaken from None
        except BaseException:
            os.close(descriptor)
            raise
        # Its last holder removed its file: a lock on that excludes no process.
        os.close(descriptor)


def wait_for_lock(
    path: Path,
    *,
    seconds: float,
    shared: bool = False,
    while_waiting: Callable[[], None] = lambda: None,
) -> HeldLock:
    """Take a lock as soon as it can be had.

    :param seconds: how long it is waited for at most.
    :param shared: with others who share it; otherwise alone.
    :param while_waiting: called again and again while another has it; what it raises is passed on.
    :raises LockTaken: when it could not be had in that time.
    :raises OSError: when its file cannot be made.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return try_lock(path, shared=shared)
        except LockTaken:
            if time.monotonic() >= deadline:
                raise
        while_waiting()
        time.sleep(_LOOK_AGAIN_SECONDS)


@contextmanager
def locked(
    path: Path, *, seconds: float, while_waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a lock alone as long as the block runs; see :func:`wait_for_lock`."""
    held = wait_for_lock(path, seconds=seconds, while_waiting=while_waiting)
    try:
        yield
    finally:
        held.release()


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
