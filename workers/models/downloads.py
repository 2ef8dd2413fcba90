"""Downloads of large files, which go on where they were cut off, in this process or a later one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from domain.backoff import Backoff

OnDownloaded = Callable[[int, int | None], None]
"""Called with the bytes that are there and those of the whole file, if they are known; what it
raises is passed on, and the next download goes on from there."""

_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 4.0


class DownloadFailed(Exception):
    """A file, or the rest of it, cannot be had; the message never repeats the address."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        """Say why.

        :param may_pass: whether trying again soon may help.
        """
        self.reason = reason
        self.may_pass = may_pass
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How far a download may go."""

    max_bytes: int
    """Of the whole file."""
    seconds: float
    """For all of it."""
    stalled_seconds: float = 30.0
    """Without a single byte."""


@dataclass(frozen=True, slots=True)
class OpenDownload:
    """A file that is coming."""

    start: int
    """Where in the file the first byte belongs: what was asked for, or 0 where a server cannot go
    on, or the file is another one now."""
    total: int | None
    """Bytes of the whole file, if the server says so."""
    validator: str | None
    """What distinguishes this file from later ones at that address, for resuming it."""
    chunks: Iterator[bytes]
    """The bytes from there on; raises :class:`DownloadFailed`."""


class Downloads(Protocol):
    """The port to the outside."""

    def open(
        self, url: str, limits: DownloadLimits, *, start: int = 0, validator: str | None = None
    ) -> AbstractContextManager[OpenDownload]:
        """Ask for a file, or for the rest of it.

        :param start: how many of its bytes are there already.
        :param validator: their validator when they came.
        :raises DownloadFailed: saying why there is nothing to be had.
        """


class DownloadCut(DownloadFailed):
    """The connection ended before the file did."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the connection was cut", may_pass=True)


@dataclass(frozen=True, slots=True)
class _PartState:
    """What is known of a file of which a part is there."""

    validator: str | None = None
    total: int | None = None


class ResumingDownload:
    """A download in a part file, with a small file beside it that says what it is a part of."""

    def __init__(self, downloads: Downloads, part: Path, *, is_checked: bool) -> None:
        """Write into this part file, going on with what is there.

        :param is_checked: whether the whole will be compared with a digest. If not, a part is gone
            on with only where the server distinguishes the file from later ones.
        """
        self._downloads = downloads
        self._part = part
        self._state_file = part.with_name(f"{part.name}.json")
        self._is_checked = is_checked

    @property
    def is_started(self) -> bool:
        """Whether a part is there that will be gone on with."""
        return self._start(self._state()) > 0

    def run(
        self,
        url: str,
        limits: DownloadLimits,
        *,
        before: Callable[[int], None] = lambda left: None,
        on_bytes: OnDownloaded = lambda done, total: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Download until the whole file is there, trying a few times while nothing more comes.

        :param before: called with the number of bytes to come, once that is known; what it raises
            is passed on.
        :param pause: waits for some seconds between two attempts.
        :raises DownloadFailed: saying why it is not there; what came so far stays.
        :raises OSError: when it cannot be written.
        """
        deadline = time.monotonic() + limits.seconds
        failures = 0
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DownloadFailed("too slow", may_pass=True)
            there = self._size()
            try:
                return self._resume(url, replace(limits, seconds=left), before, on_bytes)
            except DownloadFailed as failed:
                # A line that is cut again and again still gets there.
                if self._size() > there:
                    failures = 0
                    backoff.reset()
                failures += 1
                if not failed.may_pass or failures == _ATTEMPTS:
                    raise
            pause(backoff.next_pause())

    def drop(self) -> None:
        """Remove the part that was fetched so far."""
        self._part.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the whole file its name, replacing what has it."""
        os.replace(self._part, path)
        self._state_file.unlink(missing_ok=True)

    def _resume(
        self,
        url: str,
        limits: DownloadLimits,
        before: Callable[[int], None],
        on_bytes: OnDownloaded,
    ) -> None:
        state = self._state()
        start = self._start(state)
        if start and start == state.total:
            return
        validator = state.validator if start else None
        with (
            self._downloads.open(url, limits, start=start, validator=validator) as opened,
            self._part.open("r+b" if opened.start else "wb") as file,
        ):
            file.truncate(opened.start)
            file.seek(opened.start)
            # Only now: the state must never describe the beginning of another file.
            self._note(_PartState(opened.validator, opened.total))
            if opened.total is not None:
                before(max(0, opened.total - opened.start))
            self._write(file, opened, limits, on_bytes)

    def _write(
        self, file: BinaryIO, opened: OpenDownload, limits: DownloadLimits, on_bytes: OnDownloaded
    ) -> None:
        done = opened.start
        for chunk in opened.chunks:
            done += len(chunk)
            if done > limits.max_bytes:
                raise DownloadFailed("the file is too large", may_pass=False)
            file.write(chunk)
            on_bytes(done, opened.total)
        if opened.total is not None and done != opened.total:
            raise DownloadCut
        file.flush()
        os.fsync(file.fileno())
        if opened.total is None:
            self._note(_PartState(opened.validator, done))

    def _start(self, state: _PartState) -> int:
        if not self._is_checked and state.validator is None:
            return 0
        return self._size()

    def _size(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _state(self) -> _PartState:
        try:
            stored = json.loads(self._state_file.read_bytes())
            return _PartState(stored["validator"], stored["total"])
        except (OSError, ValueError, TypeError, KeyError):
            return _PartState()

    def _note(self, state: _PartState) -> None:
        self._state_file.write_text(
            json.dumps({"validator": state.validator, "total": state.total}), encoding="utf-8"
        )
