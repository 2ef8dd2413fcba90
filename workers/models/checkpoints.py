"""Checkpoints in ComfyUI's folders, by the names that requests use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog

from domain.models.catalogue import Baseline, ModelEntry, ModelFile, Models, baseline_of
from workers.models.comfyui_folders import (
    CHECKPOINTS,
    DIFFUSION_MODELS,
    TEXT_ENCODERS,
    VAES,
    ListedFile,
    files_of,
    path_of,
)
from workers.models.hashes import HashCache, OnBytes
from workers.models.safetensors import (
    NotSafetensors,
    Shapes,
    family_of,
    is_checkpoint,
    shapes_of,
)

_log = structlog.get_logger(__name__)

_PART_FOLDERS = {"text_encoder": TEXT_ENCODERS, "vae": VAES}
_PICKLED = ".ckpt"
_MEGABYTE = 1_000_000


class CheckpointKind(StrEnum):
    """What a model's file holds; it decides how ComfyUI loads it."""

    CHECKPOINT = "checkpoint"
    """Everything: denoiser, text encoders and VAE."""
    DIFFUSION_MODEL = "diffusion_model"
    """The denoiser alone."""


@dataclass(frozen=True, slots=True)
class CheckpointPart:
    """A further file of a model whose main file holds the denoiser alone."""

    type: str
    """What it holds, in the catalogue's words: ``text_encoder``, ``vae``, …"""
    name: str
    """Its path below its kind's folder, as ComfyUI lists it."""
    path: Path


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """The main file of a model, verified."""

    name: str
    """Its path below its kind's folder, as ComfyUI lists it, such as ``sdxl/base.safetensors``."""
    kind: CheckpointKind
    path: Path
    sha256: str
    """64 lower-case hexadecimal digits."""
    baseline: Baseline
    parts: tuple[CheckpointPart, ...] = ()
    """The other files of it that the catalogue names, in the catalogue's order."""


_MAIN_TYPES = {
    "checkpoint": CheckpointKind.CHECKPOINT,
    "unet": CheckpointKind.DIFFUSION_MODEL,
}
_KIND_FOLDERS = {
    CheckpointKind.CHECKPOINT: CHECKPOINTS,
    CheckpointKind.DIFFUSION_MODEL: DIFFUSION_MODELS,
}


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that may be a model's main one."""

    kind: CheckpointKind
    file: ListedFile


_Folders = Mapping[str, list[_Found]]
"""What was found, by the files' bare names."""


class ComfyUIModelFiles:
    """The models whose files lie in ComfyUI's folders, each verified once.

    A file that the catalogue names is the catalogue's model, if its SHA-256 is the catalogue's; any
    other is offered under its own name without its ending. What lies there is looked up anew each
    time, so that a file may come and go.
    """

    def __init__(
        self, folder: Path, models: Models, hashes: HashCache, *, on_bytes: OnBytes | None = None
    ) -> None:
        """Look into this folder.

        :param folder: ComfyUI's base folder, the one that holds ``models``.
        :param models: the catalogue.
        :param on_bytes: called with the progress when a file is read for its SHA-256.
        """
        self._folder = folder
        self._models = models
        self._hashes = hashes
        self._on_bytes = on_bytes
        self._known_files: dict[str, tuple[ModelEntry | None, CheckpointFile]] = {}
        self._warned: set[tuple[str, str]] = set()
        self._families: dict[Path, tuple[tuple[int, int, int], Baseline | None]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the models that can be loaded, sorted.

        The first call reads each file whose SHA-256 the catalogue knows, which takes seconds for
        each; after that only what is new or was changed.
        """
        there = self._look()
        known = self._models.names()
        catalogued = {name for name in known if self._catalogued(name, there) is not None}
        return tuple(sorted(catalogued | self._others(there).keys()))

    def file_of(self, model: str) -> CheckpointFile | None:
        """Return the main file of the model of exactly this name; None when it is not offered.

        A file that was never read before is read now.
        """
        entry = self._models.entry(model)
        known = self._known_files.get(model)
        if known is not None and known[0] == entry and self._is_unchanged(known[1]):
            return known[1]
        there = self._look()
        is_known = entry is not None and entry.files
        file = self._catalogued(model, there) if is_known else self._other(model, there)
        if file is not None:
            self._known_files[model] = (entry, file)
        return file

    def _is_unchanged(self, file: CheckpointFile) -> bool:
        """Whether ComfyUI would still load this very file, found out without searching folders."""
        folders = _KIND_FOLDERS[file.kind]
        try:
            return (
                path_of(self._folder, folders, file.name) == file.path
                and self._hashes.known_of(file.path) == file.sha256
                and all(part.path.is_file() for part in file.parts)
            )
        except OSError:
            return False

    def _other(self, model: str, there: _Folders) -> CheckpointFile | None:
        found = self._others(there).get(model)
        family = None if found is None else self._family(found)
        digest = None if found is None else self._digest(found.file.path)
        if found is None or family is None or digest is None:
            return None
        return CheckpointFile(found.file.name, found.kind, found.file.path, digest, family)

    def _look(self) -> _Folders:
        there: dict[str, list[_Found]] = {}
        for kind, folders in _KIND_FOLDERS.items():
            for file in files_of(self._folder, folders):
                there.setdefault(file.path.name, []).append(_Found(kind, file))
        return there

    def _catalogued(self, model: str, there: _Folders) -> CheckpointFile | None:
        entry = self._models.entry(model)
        main = None if entry is None else _main_of(entry)
        if entry is None or main is None or main.name not in there:
            return None
        for found in there[main.name]:
            if found.kind is not _MAIN_TYPES[main.type]:
                self._warn("a model's file is in another kind's folder", found.file.path)
                continue
            digest = self._digest(found.file.path, main.sha256)
            if digest is not None:
                parts = self._parts(entry, main)
                if parts is None:
                    return None
                return CheckpointFile(
                    found.file.name, found.kind, found.file.path, digest, entry.baseline, parts
                )
        return None

    def _parts(self, entry: ModelEntry, main: ModelFile) -> tuple[CheckpointPart, ...] | None:
        """Return a model's other files, None when one of them is missing or wrong."""
        parts = []
        for other in entry.files:
            if other is main:
                continue
            part = self._part(other)
            if part is None:
                self._warn("a model lacks a file", Path(other.name), model=entry.name)
                return None
            parts.append(part)
        return tuple(parts)

    def _part(self, file: ModelFile) -> CheckpointPart | None:
        for listed in files_of(self._folder, _PART_FOLDERS.get(file.type, DIFFUSION_MODELS)):
            if listed.path.name == file.name and (
                file.sha256 is None or self._digest(listed.path, file.sha256) is not None
            ):
                return CheckpointPart(file.type, listed.name, listed.path)
        return None

    def _others(self, there: _Folders) -> Mapping[str, _Found]:
        """Return what the catalogue does not name, by the names it is offered under."""
        named = {file.name for entry in self._entries() for file in entry.files}
        others: dict[str, _Found] = {}
        for found in _in_order(there, named):
            stem = found.file.path.stem
            entry = self._models.entry(stem)
            if entry is not None and entry.files:
                # It would be taken for what the catalogue means by that name.
                self._warn("a file has the name of another model", found.file.path, model=stem)
            elif stem not in others and self._family(found) is not None:
                others[stem] = found
        return others

    def _entries(self) -> Iterator[ModelEntry]:
        for name in self._models.names():
            entry = self._models.entry(name)
            if entry is not None:
                yield entry

    def _family(self, found: _Found) -> Baseline | None:
        """Return the family of a file outside the catalogue; None when it is no model."""
        path = found.file.path
        if path.suffix.lower() == _PICKLED:
            return baseline_of(path.stem, self._models)
        try:
            status = os.stat(path)
            mark = (status.st_size, status.st_mtime_ns, status.st_ino)
            known = self._families.get(path)
            if known is None or known[0] != mark:
                known = (mark, _family_in(shapes_of(path), found.kind))
                self._families[path] = known
        except (OSError, NotSafetensors) as error:
            self._warn("a file cannot be used", path, reason=str(error))
            return None
        if known[1] is None:
            self._warn("a file holds no whole model of a known family", path)
        return known[1]

    def _digest(self, path: Path, wanted: str | None = None) -> str | None:
        """Return a file's SHA-256; None when it cannot be read or is not the one wanted."""
        try:
            known = self._hashes.known_of(path)
            if known is None:
                megabytes = os.path.getsize(path) // _MEGABYTE
                _log.info("a model's file is read once", file=path.name, megabytes=megabytes)
            digest = known or self._hashes.sha256_of(path, self._on_bytes)
        except OSError as error:
            self._warn("a file cannot be read", path, reason=type(error).__name__)
            return None
        if wanted is not None and digest != wanted:
            self._warn(
                "a model's file is not the catalogue's", path, sha256=digest, expected=wanted
            )
            return None
        return digest

    def _warn(self, what: str, path: Path, **more: str) -> None:
        mark = (what, f"{path}:{more}")
        if mark not in self._warned:
            self._warned.add(mark)
            _log.warning(what, file=path.name, **more)


def _main_of(entry: ModelEntry) -> ModelFile | None:
    return next((file for file in entry.files if file.type in _MAIN_TYPES), None)


def _family_in(shapes: Shapes, kind: CheckpointKind) -> Baseline | None:
    if kind is CheckpointKind.CHECKPOINT and not is_checkpoint(shapes):
        return None
    return family_of(shapes)


def _in_order(there: _Folders, named: Iterable[str]) -> Iterator[_Found]:
    """Yield the files whose names are not among those named, checkpoints first."""
    left = [found for name, all_ in there.items() if name not in named for found in all_]
    return iter(sorted(left, key=lambda each: (each.kind, each.file.name)))
