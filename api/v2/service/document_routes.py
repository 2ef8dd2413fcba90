"""The operators' terms, privacy policy and sponsors, as they wrote them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.http.answer import Answer
from api.http.openapi import error_responses
from api.v2.service.documents import NAMES
from api.v2.service.feature import Service

router = APIRouter(tags=["service"], default_response_class=Answer)

DocumentFormat = Literal["html", "markdown"]

_KEPT = {"cache-control": "public, max-age=60"}


class HordeDocument(BaseModel):
    """A document in the one format that was asked for."""

    html: str | None = None
    markdown: str | None = None


def _shows(name: str) -> Callable[[Service, DocumentFormat], Answer]:
    def document(
        feature: Service, form: Annotated[DocumentFormat, Query(alias="format")] = "html"
    ) -> Answer:
        """Show what the operators say; an empty text where they say nothing."""
        return Answer({form: feature.documents.text(name, form)}, headers=_KEPT)

    return document


for _name in NAMES:
    router.add_api_route(
        f"/documents/{_name}",
        _shows(_name),
        name=_name,
        responses={200: {"model": HordeDocument}, **error_responses(400)},
    )
