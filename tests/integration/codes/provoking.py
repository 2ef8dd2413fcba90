"""The register of what provokes each return code through HTTP.

A provoking function takes a Hoard that is its own and returns the answer that refuses:

    @provokes("MissingPrompt")
    def no_prompt(api: Api) -> Answered:
        return api.ask(prompt="")

``test_codes.py`` runs each and looks at code, status and body. A code may have several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from domain.return_codes import RETURN_CODES
from tests.integration.api_client import Answered, Api

Provoking = Callable[[Api], Answered]


@dataclass(frozen=True, slots=True)
class Provocation:
    """One way to provoke a return code."""

    code: str
    provoke: Provoking
    settings: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.code}-{self.provoke.__name__}"


PROVOCATIONS: list[Provocation] = []


def provokes(code: str, **settings: Any) -> Callable[[Provoking], Provoking]:
    """Register a function that provokes a code, in a Hoard with these settings.

    :raises KeyError: when nothing may raise this code.
    """
    if not RETURN_CODES[code].may_be_raised:
        raise KeyError(code)

    def register(provoke: Provoking) -> Provoking:
        PROVOCATIONS.append(Provocation(code, provoke, settings))
        return provoke

    return register


def all_provocations() -> list[Provocation]:
    """Import every module beside this one and return what they registered."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if not file.name.startswith("test_") and file.stem != "provoking":
            import_module(f"tests.integration.codes.{file.stem}")
    return PROVOCATIONS
