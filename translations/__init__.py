"""What the return codes say in other languages: one file of texts for each, read at first use."""

from __future__ import annotations

from translations.covering import Coverage, coverage_of
from translations.reading import (
    Translated,
    Translation,
    shipped,
    translation_from,
)
from translations.writing import english_of, written

__all__ = [
    "Coverage",
    "Translated",
    "Translation",
    "coverage_of",
    "english_of",
    "shipped",
    "translation_from",
    "written",
]
