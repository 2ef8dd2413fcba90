"""Texts with the figures of a case in them: ``{kudos}`` stands for a detail of that name."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names in braces.

    :raises ValueError: when a brace is left open, or holds anything but a plain name. Texts are
        data that contributors write: an attribute or a format in them is never carried out.
    """
    names = set()
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}} is no plain name in braces: {text!r}")
        names.add(name)
    return frozenset(names)


def filled(plain: str, detailed: str, details: Mapping[str, object]) -> str:
    """Return the text for a case: the detailed one when all that it names is known.

    :param plain: a text that reads well without details.
    :param detailed: the same with placeholders; empty when there is none.
    """
    if not detailed or not placeholders_of(detailed) <= details.keys():
        return plain
    return detailed.format_map({name: _written(detail) for name, detail in details.items()})


def _written(detail: object) -> str:
    """Write figures as they are spoken of: at most two decimals, and no zeros at their end."""
    if isinstance(detail, float):
        return f"{detail:.2f}".rstrip("0").rstrip(".")
    return str(detail)
