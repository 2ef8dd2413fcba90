"""Downloads that go on where they were cut off, in this process or in a later one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from domain.backoff import Backoff
from workers.models.downloads import DownloadFailed, DownloadLimits, Downloads, Opened
from workers.models.lora_file import OnDownloaded

_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 4.0


class NoEnd(DownloadFailed):
    """The connection ended before the file did."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the connection was cut", may_pass=True)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is known of a file of which a part is there."""

    validator: str | None = None
    total: int | None = None


class ResumingDownload:
    """A file on its way, in a part file and a small one beside it that tells what it is part of."""

    def __init__(self, downloads: Downloads, part: Path, *, is_checked: bool) -> None:
        """Write into this part file, going on with what is there.

        :param is_checked: whether the whole will be compared with a digest. If not, a part is gone
            on with only where the server tells the file from later ones.
        """
        self._downloads = downloads
        self._part = part
        self._about = part.with_name(f"{part.name}.json")
        self._is_checked = is_checked

    @property
    def is_begun(self) -> bool:
        """Whether a part is there that will be gone on with."""
        return self._start(self._begun()) > 0

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

        :param before: told how many bytes are still to come, once that is known; what it raises is
            passed on.
        :param pause: waits for some seconds between two attempts.
        :raises DownloadFailed: saying why it is not there; what came so far stays.
        :raises OSError: when it cannot be written.
        """
        deadline = time.monotonic() + limits.seconds
        in_vain = 0
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DownloadFailed("too slow", may_pass=True)
            there = self._size()
            try:
                return self._go_on(url, replace(limits, seconds=left), before, on_bytes)
            except DownloadFailed as failed:
                # A line that is cut again and again still gets there.
                if self._size() > there:
                    in_vain = 0
                    backoff.reset()
                in_vain += 1
                if not failed.may_pass or in_vain == _ATTEMPTS:
                    raise
            pause(backoff.next_pause())

    def drop(self) -> None:
        """Remove what came so far."""
        self._part.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the whole file its name, replacing what has it."""
        os.replace(self._part, path)
        self._about.unlink(missing_ok=True)

    def _go_on(
        self,
        url: str,
        limits: DownloadLimits,
        before: Callable[[int], None],
        on_bytes: OnDownloaded,
    ) -> None:
        begun = self._begun()
        start = self._start(begun)
        if start and start == begun.total:
            return
        validator = begun.validator if start else None
        with (
            self._downloads.open(url, limits, start=start, validator=validator) as opened,
            self._part.open("r+b" if opened.start else "wb") as file,
        ):
            file.truncate(opened.start)
            file.seek(opened.start)
            # Only now: what is told must never be told of another file's beginning.
            self._note(_Begun(opened.validator, opened.total))
            if opened.total is not None:
                before(max(0, opened.total - opened.start))
            self._write(file, opened, limits, on_bytes)

    def _write(
        self, file: BinaryIO, opened: Opened, limits: DownloadLimits, on_bytes: OnDownloaded
    ) -> None:
        done = opened.start
        for chunk in opened.chunks:
            done += len(chunk)
            if done > limits.max_bytes:
                raise DownloadFailed("the file is too large", may_pass=False)
            file.write(chunk)
            on_bytes(done, opened.total)
        if opened.total is not None and done != opened.total:
            raise NoEnd
        file.flush()
        os.fsync(file.fileno())
        if opened.total is None:
            self._note(_Begun(opened.validator, done))

    def _start(self, begun: _Begun) -> int:
        if not self._is_checked and begun.validator is None:
            return 0
        return self._size()

    def _size(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _begun(self) -> _Begun:
        try:
            told = json.loads(self._about.read_bytes())
            return _Begun(told["validator"], told["total"])
        except (OSError, ValueError, TypeError, KeyError):
            return _Begun()

    def _note(self, begun: _Begun) -> None:
        self._about.write_text(
            json.dumps({"validator": begun.validator, "total": begun.total}), encoding="utf-8"
        )
