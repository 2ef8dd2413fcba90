"""Writing the file of a translation anew: what is there stays, what is missing is empty."""

from __future__ import annotations

from collections.abc import Iterator

from domain.return_codes import RETURN_CODES, ReturnCode
from translations.reading import Translated, Translation

_BETWEEN = " | "


def english_of(code: ReturnCode) -> str:
    """Return all that there is to translate of a code: message, detailed message, advice."""
    return _BETWEEN.join(text for text in (code.message, code.detailed, code.advice) if text)


def written(translation: Translation) -> str:
    """Return the file of a translation, in the catalogue's order.

    Every code that clients can meet is in it, with its English; texts that are missing are empty,
    for a translator to fill in. A text that is out of date keeps the English that it was made from.
    """
    head = f"language = {_quoted(translation.language)}\n"
    return head + "".join(
        "\n" + "".join(f"{line}\n" for line in _lines(code, translation.entries.get(code.name)))
        for code in RETURN_CODES.values()
        if code.may_be_raised
    )


def _lines(code: ReturnCode, entry: Translated | None) -> Iterator[str]:
    # A full stop divides the parts of a key in TOML.
    yield f"[{_quoted(code.name)}]" if "." in code.name else f"[{code.name}]"
    yield f"english = {_quoted(entry.english if entry else english_of(code))}"
    yield f"message = {_quoted(entry.message if entry else '')}"
    if code.detailed:
        yield f"detailed = {_quoted(entry.detailed if entry else '')}"
    yield f"advice = {_quoted(entry.advice if entry else '')}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
