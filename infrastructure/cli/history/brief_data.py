"""An event's data in few words, for one line of a terminal; ``--json`` has all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z")


def brief(data: Mapping[str, Any]) -> str:
    """Return ``name=value`` for each fact: figures first, then ids, digests and times, cut short.

    Facts that say "none" or "no" are left out, and objects are dissolved into their parts.
    """
    figures: list[str] = []
    references: list[str] = []
    for name, value in _facts(data):
        if value is None or value is False or value in ("", [], {}):
            continue
        if isinstance(value, list):
            references.append(f"{name}=[{len(value)}]")
        elif isinstance(value, str) and (short := _shortened(value)) is not None:
            references.append(f"{name}={short}")
        elif value is True:
            references.append(name)
        else:
            figures.append(f"{name}={value}")
    return " ".join(figures + references)


def _facts(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _facts(value)
        else:
            yield name, value


def _shortened(value: str) -> str | None:
    """Return a handy form of what is long and says little; None for text that says something."""
    if _ID.fullmatch(value):
        # Ids of the images of one batch differ at their end only.
        return f"{value[:8]}…{value[-2:]}"
    if _DIGEST.fullmatch(value):
        return f"{value[:8]}…"
    if found := _INSTANT.fullmatch(value):
        return found[1]
    return None
