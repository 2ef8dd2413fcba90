"""Which of several things a client would rather have: languages, and media types."""

from __future__ import annotations

from collections.abc import Container

import translations

ENGLISH = "en"
"""The language of the catalogue, and of everything that is not translated."""

_MOST_CHOICES = 50
"""No browser sends nearly as many; more are not looked at."""


def weighted(header: str) -> dict[str, float]:
    """Return the choices of an ``Accept`` header by their weight (RFC 9110, 12.4.2).

    They are in small letters; what cannot be read is left out.
    """
    choices: dict[str, float] = {}
    for part in header.split(",")[:_MOST_CHOICES]:
        choice, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if choice and weight is not None:
            choices[choice] = weight
    return choices


def _weight(parameters: list[str]) -> float | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return None
            return weight if 0 <= weight <= 1 else None
    return 1.0


def language_for(header: str | None) -> str:
    """Return the tag of the language in which to answer.

    :param header: the value of ``Accept-Language``. Of the languages that are there, the one that
        weighs most is taken, where ``de-AT`` finds ``de`` (RFC 4647, 3.4: lookup).
    """
    there = {tag.lower(): tag for tag in (ENGLISH, *translations.shipped())}
    choices = weighted(header or "")
    for choice in sorted(choices, key=lambda choice: -choices[choice]):
        if choices[choice] > 0 and (found := _longest_prefix(choice, there)) is not None:
            return there[found]
    return ENGLISH


def _longest_prefix(choice: str, there: Container[str]) -> str | None:
    parts = choice.split("-")
    for length in range(len(parts), 0, -1):
        if (tag := "-".join(parts[:length])) in there:
            return tag
    return ENGLISH if choice == "*" else None
