"""The return codes as a list for programs: what clients may compare with, and how to say it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

import translations
from api.http.answer import Answer
from api.http.languages import language_for
from api.http.openapi import error_responses
from api.v2.service.schemas import ReturnCodeEntry
from domain.return_codes import RETURN_CODES, ReturnCode
from translations import Translation

router = APIRouter(tags=["return codes"])

AcceptLanguage = Annotated[
    str | None, Header(description="Languages that the client reads, with weights.")
]


@router.get(
    "/return_codes",
    response_class=Answer,
    responses={200: {"model": list[ReturnCodeEntry]}, **error_responses()},
)
async def return_codes(accept_language: AcceptLanguage = None) -> Response:
    """List every return code, those that are only kept for later among them.

    Message and advice are in the language that the client asks for, where they are translated.
    """
    language = language_for(accept_language)
    translation = translations.shipped().get(language)
    return Answer(
        [_entry(code, translation) for code in RETURN_CODES.values()],
        headers={
            "content-language": language,
            "vary": "Accept-Language",
            "cache-control": "public, max-age=3600",
        },
    )


def _entry(code: ReturnCode, translation: Translation | None) -> dict[str, object]:
    said = translation.entries.get(code.name, code) if translation else code
    return {
        "rc": code.name,
        "status": code.status,
        "message": said.message,
        "detailed": said.detailed or None,
        "when": code.when,
        "advice": said.advice,
        "reserved": code.reserved,
        "base": code.base,
    }
