"""ComfyUI's folders of models, searched as it searches them (its `folder_paths.py`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKPOINTS = ("checkpoints",)
DIFFUSION_MODELS = ("unet", "diffusion_models")
"""Below ``models/``; where both hold a file of one name, ComfyUI loads the first one's."""
TEXT_ENCODERS = ("text_encoders", "clip")
VAES = ("vae",)
LORAS = ("loras",)

SUFFIXES = frozenset({".safetensors", ".sft", ".ckpt"})
"""What holds models nowadays, of what ComfyUI would load."""

_LEFT_OUT = ".git"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file, and what ComfyUI calls it."""

    name: str
    """Its path below its kind's folder."""
    path: Path


def files_of(base: Path, folders: Sequence[str]) -> list[ListedFile]:
    """Return the files of one kind, in the order of their names.

    :param base: ComfyUI's base folder, the one that holds ``models``.
    """
    found: dict[str, ListedFile] = {}
    for folder in folders:
        for file in files_below(base / "models" / folder):
            found.setdefault(file.name, file)
    return [found[name] for name in sorted(found)]


def path_of(base: Path, folders: Sequence[str], name: str) -> Path | None:
    """Return the file that ComfyUI would load by a name; None when there is none."""
    paths = (base / "models" / folder / name for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def files_below(root: Path) -> list[ListedFile]:
    """Return the files in a folder and all folders below it, in the order of their names."""
    found = [ListedFile(os.path.relpath(path, root), path) for path in _below(root)]
    return sorted(found, key=lambda file: file.name)


def _below(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        # A link to a folder above would lead round and round.
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(folder for folder in folders if folder != _LEFT_OUT)
        yield from _models(parent, names)


def _models(parent: str, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        path = Path(parent, name)
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path
