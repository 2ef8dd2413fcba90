"""The page of the return codes: each with an anchor of its name, to be searched without scripts."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import HTMLResponse

import translations
from api.http.errors import RETURN_CODES_PATH
from api.http.languages import ENGLISH, language_for
from api.pages.rendering import page
from domain.return_codes import RETURN_CODES, ReturnCode

router = APIRouter(include_in_schema=False)

_LIST_PATH = "/api/v2/return_codes"

_KEPT = "Kept for features that are not built"
_FAMILIES = "Families, which nothing answers with"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A return code in the language of the page."""

    name: str
    status: int
    message: str
    when: str
    advice: str

    def has(self, words: list[str]) -> bool:
        """Say whether all words are somewhere in it."""
        text = f"{self.name} {self.status} {self.message} {self.when} {self.advice}".casefold()
        return all(word in text for word in words)


@router.get(RETURN_CODES_PATH)
async def return_codes(
    accept_language: Annotated[str | None, Header()] = None,
    lang: Annotated[str | None, Query(max_length=35)] = None,
    q: Annotated[str, Query(max_length=100)] = "",
) -> HTMLResponse:
    """Show the catalogue."""
    language = language_for(lang or accept_language)
    words = q.casefold().split()
    groups: dict[str, list[_Shown]] = {}
    for code in sorted(RETURN_CODES.values(), key=_order):
        shown = _shown(code, language)
        if shown.has(words):
            groups.setdefault(_heading(code), []).append(shown)
    return page(
        "return_codes.html",
        language=language,
        headers={"vary": "Accept-Language"},
        list_path=_LIST_PATH,
        languages=_languages(),
        query=q,
        groups=list(groups.items()),
    )


def _languages() -> list[tuple[str, str]]:
    others = [(tag, each.language) for tag, each in translations.shipped().items()]
    return [(ENGLISH, "English"), *others]


def _shown(code: ReturnCode, language: str) -> _Shown:
    translation = translations.shipped().get(language)
    said = translation.entries.get(code.name, code) if translation else code
    return _Shown(code.name, code.status, said.message, code.when, said.advice)


def _order(code: ReturnCode) -> tuple[bool, bool, int]:
    """What clients meet comes first, by status; else the catalogue's order stays."""
    return code.reserved, code.base, code.status if code.may_be_raised else 0


def _heading(code: ReturnCode) -> str:
    if code.reserved:
        return _KEPT
    return _FAMILIES if code.base else f"{code.status} {HTTPStatus(code.status).phrase}"
