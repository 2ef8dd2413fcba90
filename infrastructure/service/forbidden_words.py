"""Forbidden words: a short list of Hoard's, and the operator's own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from domain.content_filter import ForbiddenWords
from infrastructure.settings.watched_file import WatchedFile

WORDS_FILE = "forbidden-words.txt"
"""Name of the operators' file in the data folder: a word a line; # begins a remark."""


class WordListFilter:
    """The shipped list with the operator's, at most five seconds late."""

    def __init__(self, data: Path) -> None:
        """Read ``forbidden-words.txt`` in this data folder, again whenever it changes."""
        shipped = tuple(_words(_shipped_text()))
        self._file = WatchedFile[ForbiddenWords](
            data / WORDS_FILE,
            lambda text: ForbiddenWords((*shipped, *_words(text))),
            empty=ForbiddenWords(shipped),
        )

    def is_blocked(self, text: str) -> bool:
        """Whether the text holds a word of either list."""
        return self._file.content().is_blocked(text)


def _shipped_text() -> str:
    return (
        files("infrastructure.service").joinpath("forbidden_words.txt").read_text(encoding="utf-8")
    )


def _words(text: str) -> Iterator[str]:
    for line in text.splitlines():
        word = line.partition("#")[0].strip()
        if word:
            yield word
