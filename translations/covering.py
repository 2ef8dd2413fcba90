"""How far a translation goes: what is missing, and what no longer fits the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from domain.return_codes import RETURN_CODES
from translations.reading import Translation
from translations.writing import english_of


@dataclass(frozen=True, slots=True)
class Coverage:
    """What there is and is not in one language; the lists hold return codes."""

    translated: int
    """How many codes that clients can meet are translated."""
    of: int
    """How many there are."""
    missing: list[str]
    """Codes that clients can meet and that are not translated."""
    stale: list[str]
    """Codes whose English has changed since."""
    unknown: list[str]
    """What the catalogue does not have, or has as a name that nothing raises."""


def coverage_of(translation: Translation) -> Coverage:
    """Compare a translation with the catalogue."""
    met = {name: code for name, code in RETURN_CODES.items() if code.may_be_raised}
    there = [name for name in met if name in translation.entries]
    return Coverage(
        translated=len(there),
        of=len(met),
        missing=[name for name in met if name not in translation.entries],
        stale=[
            name for name in there if translation.entries[name].english != english_of(met[name])
        ],
        unknown=[name for name in translation.entries if name not in met],
    )
