"""Checks the files of models: present and whole in a folder, downloadable at their addresses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from domain.models.catalogue import ModelEntry, ModelFile

_SECONDS = 10.0


class FileState(StrEnum):
    """The state of a file."""

    WHOLE = "whole"
    """It is there, with the catalogue's SHA-256."""
    THERE = "there"
    """It is there; the catalogue has no SHA-256 for it."""
    WRONG = "wrong"
    """It is there, with another SHA-256."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a model, and its state."""

    model: str
    file: ModelFile
    state: FileState
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundAddress:
    """An address that a file of a model is downloaded from, and what it answered."""

    model: str
    file: ModelFile
    answer: str
    """A status code or the kind of failure."""
    answers: bool
    """Whether the file can be downloaded there."""


def files_in(folder: Path, models: Iterable[ModelEntry]) -> Iterator[FoundFile]:
    """Look for each model's files anywhere below a folder, and read those that are there.

    :raises OSError: when a file that is there cannot be read.
    """
    there = _by_name(folder)
    for model in models:
        for file in model.files:
            path = there.get(file.name)
            yield FoundFile(model.name, file, _state(file, path), path)


def answers_of(
    models: Iterable[ModelEntry], *, transport: httpx.BaseTransport | None = None
) -> Iterator[FoundAddress]:
    """Send a HEAD request to the address of each model file; nothing is downloaded."""
    with httpx.Client(timeout=_SECONDS, follow_redirects=True, transport=transport) as client:
        for model in models:
            for file in model.files:
                yield FoundAddress(model.name, file, *_answer(client, file.url))


def _by_name(folder: Path) -> Mapping[str, Path]:
    return {
        name: Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
    }


def _state(file: ModelFile, path: Path | None) -> FileState:
    if path is None:
        return FileState.MISSING
    if file.sha256 is None:
        return FileState.THERE
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return FileState.WHOLE if digest == file.sha256 else FileState.WRONG


def _answer(client: httpx.Client, url: str) -> tuple[str, bool]:
    try:
        answer = client.head(url)
    except httpx.HTTPError as error:
        return type(error).__name__, False
    return str(answer.status_code), answer.is_success
