"""Keeping the images of a request: one file each, and one sheet of them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from infrastructure.cli.requests.api_client import Generation, V2Client
from infrastructure.cli.requests.contact_sheet import Frame, contact_sheet

_SUFFIXES = ((b"RIFF", ".webp"), (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"))


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was saved."""

    path: Path
    generation: Generation
    content: bytes

    @property
    def label(self) -> str:
        """What stands below it on a sheet: with seed and batch index it can be made again."""
        state = "" if self.generation.state == "ok" else f" · {self.generation.state}"
        return f"seed {self.generation.seed} · index {self.generation.batch_index}{state}"


def save_pictures(
    client: V2Client,
    generations: Sequence[Generation],
    folder: Path,
    *,
    prefix: str,
    on_saved: Callable[[Picture], None] | None = None,
) -> list[Picture]:
    """Fetch images and save each as ``prefix-NN``; return them in the order they came.

    :raises OSError: when the folder cannot be made or written.
    :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: when an image cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, generation in enumerate(generations, start=1):
        content = client.image(generation)
        path = write_new(folder / f"{prefix}-{number:02}{suffix_of(content)}", content)
        picture = Picture(path, generation, content)
        pictures.append(picture)
        if on_saved is not None:
            on_saved(picture)
    return pictures


def save_contact_sheet(pictures: Sequence[Picture], path: Path, *, title: str) -> None:
    """Save the sheet of some pictures as a PNG file.

    :raises OSError: when it cannot be written.
    """
    frames = [Frame(picture.content, picture.label) for picture in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contact_sheet(frames, title=title))


def write_new(path: Path, content: bytes) -> Path:
    """Write a file that is not there yet; return its path.

    Where there is one of this name with another content, the new one gets a number.

    :raises OSError: when the folder cannot be written.
    """
    for number in count(1):
        free = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            with free.open("xb") as file:
                file.write(content)
        except FileExistsError:
            if not free.is_file() or free.read_bytes() != content:
                continue
        return free
    raise AssertionError("there are numbers without end")


def suffix_of(content: bytes) -> str:
    """Return the ending of the name of an image file, such as ``.webp``."""
    for start, suffix in _SUFFIXES:
        if content.startswith(start):
            return suffix
    return ".img"
