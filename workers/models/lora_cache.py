"""The folder of fetched LoRAs: its files, their users, and the eviction when it is full."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from domain.models.loras import MOST_LORAS
from workers.models.comfyui_folders import ListedFile, files_below
from workers.models.hashes import HashCache
from workers.models.locks import HeldLock, LockTaken, locked, try_lock, wait_for_lock
from workers.models.lora_versions import LoraFile, LoraRecord, read_record, write_record

_log = structlog.get_logger(__name__)

_FILE: Final = re.compile(r"hoard-(\d{1,18})\.safetensors")
_PART: Final = re.compile(r"(\d{1,18})\.part")
_OWN_SUFFIXES: Final = frozenset({".safetensors", ".sft"})
_OWN_FOLDER: Final = ".hoard"
_LONGEST_WAIT_SECONDS: Final = 60.0


class NoRoom(Exception):
    """What is in use fills the budget."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file that may go when room is needed."""

    path: Path
    version_id: str
    size: int
    is_part: bool
    last_used_ns: int


class LoraCache:
    """Fetched LoRAs in one folder, which several processes may use at a time.

    The files lie in the folder itself, named ``hoard-<version id>.safetensors`` so that ComfyUI
    lists them. Their records, parts of downloads and locks lie in ``.hoard`` below it. When
    a file was last used is the time at which its record was last changed: reading the file itself
    may be anybody's.
    """

    def __init__(self, folder: Path, hashes: HashCache, *, budget_bytes: int) -> None:
        """Keep files in this folder, which is made if need be.

        :param budget_bytes: how much they may take together.
        """
        self._folder = folder
        self._own = folder / _OWN_FOLDER
        self._hashes = hashes
        self._budget = budget_bytes
        self._in_use: OrderedDict[str, HeldLock] = OrderedDict()
        self._guard = threading.Lock()

    def make_folder(self) -> None:
        """Make the folder.

        :raises OSError: when it cannot be made.
        """
        self._own.mkdir(parents=True, exist_ok=True)

    def path_of(self, version_id: str) -> Path:
        """Return where a version's file lies, or would."""
        return self._folder / f"hoard-{version_id}.safetensors"

    def part_of(self, version_id: str) -> Path:
        """Return where a part of a version's file lies, or would."""
        return self._own / f"{version_id}.part"

    def lock_of(self, version_id: str) -> Path:
        """Return the lock that a process holds while it downloads a version."""
        return self._own / f"{version_id}.lock"

    def use(self, version_id: str) -> None:
        """Keep a version from being removed, by any process, while this one may load it.

        That is until this process has used as many others as one job may name.

        :raises OSError: when the folder cannot be written.
        """
        with self._guard:
            if version_id not in self._in_use:
                self._in_use[version_id] = wait_for_lock(
                    self._use_of(version_id), shared=True, seconds=_LONGEST_WAIT_SECONDS
                )
            self._in_use.move_to_end(version_id)
            while len(self._in_use) > MOST_LORAS:
                self._in_use.popitem(last=False)[1].release()

    def release(self) -> None:
        """Let go of what this process keeps from being removed."""
        with self._guard:
            while self._in_use:
                self._in_use.popitem()[1].release()

    def take(self, version_id: str) -> LoraFile | None:
        """Return a version's file for use; None when it is missing or is not what was fetched.

        :raises OSError: when it cannot be read.
        """
        self.use(version_id)
        path, record = self.path_of(version_id), self.record(version_id)
        if record is None or not path.is_file():
            return None
        if self._hashes.sha256_of(path) != record.sha256:
            _log.warning("a fetched LoRA was changed on disk and is not used", file=path.name)
            return None
        now = time.time_ns()
        os.utime(self._record_of(version_id), ns=(now, now))
        return LoraFile(
            path=path,
            name=path.name,
            version_id=version_id,
            sha256=record.sha256,
            trigger_words=record.trigger_words,
            base_model=record.base_model,
        )

    def record(self, version_id: str) -> LoraRecord | None:
        """Return the record of a version; None when it was never fetched."""
        return read_record(self._record_of(version_id))

    def write_record(self, record: LoraRecord) -> None:
        """Write the record of a version."""
        write_record(self._record_of(record.version_id), record)

    def records(self) -> Iterator[LoraRecord]:
        """Yield the record of each version whose file is there."""
        for version_id, _ in self._files():
            record = self.record(version_id)
            if record is not None:
                yield record

    def make_room(self, needed: int, sparing: str) -> None:
        """Remove what was not used for the longest time, until so many bytes fit into the budget.

        :param sparing: the version that is being fetched.
        :raises NoRoom: when what is in use leaves too little.
        """
        with locked(self._own / "room.lock", seconds=_LONGEST_WAIT_SECONDS):
            kept = list(self._kept())
            over = sum(each.size for each in kept) + needed - self._budget
            oldest_first = sorted(kept, key=lambda each: (not each.is_part, each.last_used_ns))
            for each in oldest_first:
                if over <= 0:
                    return
                if each.version_id != sparing and self._remove(each):
                    over -= each.size
            if over > 0:
                raise NoRoom

    def _remove(self, kept: _Kept) -> bool:
        """Remove a file unless a process uses it; return whether it is gone."""
        try:
            alone = try_lock(self._use_of(kept.version_id))
        except LockTaken:
            return False
        try:
            kept.path.unlink(missing_ok=True)
            if kept.is_part:
                kept.path.with_name(f"{kept.path.name}.json").unlink(missing_ok=True)
            else:
                self._record_of(kept.version_id).unlink(missing_ok=True)
        finally:
            alone.release(remove=True)
        _log.info("a LoRA was removed to make room", file=kept.path.name, bytes=kept.size)
        return True

    def _kept(self) -> Iterator[_Kept]:
        for version_id, path in self._files():
            status = _status(path)
            record = _status(self._record_of(version_id)) or status
            if status is not None and record is not None:
                yield _Kept(path, version_id, status.st_size, False, record.st_mtime_ns)
        for path in self._own.iterdir():
            found, status = _PART.fullmatch(path.name), _status(path)
            if found and status is not None:
                yield _Kept(path, found[1], status.st_size, True, status.st_mtime_ns)

    def _files(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self._folder.iterdir()):
            found = _FILE.fullmatch(path.name)
            if found:
                yield found[1], path

    def _record_of(self, version_id: str) -> Path:
        return self._own / f"{version_id}.json"

    def _use_of(self, version_id: str) -> Path:
        return self._own / f"{version_id}.use"


def own_file(folder: Path, name: str) -> ListedFile | None:
    """Return the file of exactly this name without its ending that the operator laid there."""
    return next(
        (
            file
            for file in files_below(folder)
            if file.path.stem == name
            and file.path.suffix in _OWN_SUFFIXES
            and not _FILE.fullmatch(file.path.name)
        ),
        None,
    )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
