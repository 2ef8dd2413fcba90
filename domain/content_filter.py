"""Content filter: words that operators forbid in names and public texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Protocol

_TOKEN = re.compile(r"[a-z0-9@$!|+]+")
_ALIKE = str.maketrans(
    {"0": "o", "1": "i", "l": "i", "!": "i", "|": "i", "3": "e", "4": "a", "@": "a"}
    | {"5": "s", "$": "s", "7": "t", "+": "t"}
)
"""Signs that are read as letters. ``l`` goes with ``i``: the sign 1 stands for both."""

_PUNCTUATION = re.compile(r"[!|+@$]")


class ContentFilter(Protocol):
    """The port to the operators' list of words."""

    def is_blocked(self, text: str) -> bool:
        """Whether the text holds a word of the list."""


class ForbiddenWords:
    """A list of words, found whatever their case, accents and digits in the place of letters.

    Only whole words count: a harmless word may hold a forbidden one.
    """

    def __init__(self, words: Iterable[str]) -> None:
        """Forbid these words; what is no letter or digit in them divides words."""
        self._words = frozenset(
            folded for word in words for token in _tokens(word) for folded in _readings(token)
        )

    def is_blocked(self, text: str) -> bool:
        """Whether the text holds a word of the list."""
        return any(
            reading in self._words for token in _tokens(text) for reading in _readings(token)
        )


def _tokens(text: str) -> list[str]:
    """Return what stands between spaces and signs, in small letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _TOKEN.findall("".join(sign for sign in decomposed if not unicodedata.combining(sign)))


def _readings(token: str) -> set[str]:
    """Return a word as it may be read: a sign in it is a letter, or punctuation."""
    return {part.translate(_ALIKE) for part in (token, *_PUNCTUATION.split(token)) if part}
