"""Error bodies: whatever goes wrong, the client reads ``{message, rc}`` and the right status.

A client that asks for ``application/problem+json`` reads RFC 9457 problem details instead, and one
that sends ``Accept-Language`` reads its own language, where the catalogue is translated into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

import translations
from api.http.answer import Answer
from api.http.languages import ENGLISH, language_for, weighted
from api.http.methods import allowed_methods
from domain.return_codes import Refused
from domain.tracing import where

_log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
"""The media type of RFC 9457."""

RETURN_CODES_PATH = "/return-codes"
"""Where the page of the return codes is; each has an anchor of its name there."""

_UNNAMED = "BadRequest"
"""The code of whatever no other code names, such as a body that is too large."""

_METHOD_NOT_ALLOWED = 405
_CODES = {404: "NotFound", _METHOD_NOT_ALLOWED: "MethodNotAllowed"}

_RETRY_AFTER = {"retry-after": "5"}
"""Seconds after which a part that was unavailable may be back."""

_VARIES = {"vary": "Accept, Accept-Language"}


def install_error_answers(
    app: FastAPI, *, public_url: str = "", unavailable: Iterable[type[Exception]] = ()
) -> None:
    """Answer every exception that leaves a route with an error body.

    :param public_url: what the address of the page of return codes starts with; without it, that
        address is relative to the one that was called, as RFC 9457 allows. The header ``Host`` is
        not trusted with it.
    :param unavailable: exceptions which say that a part cannot be used now; answered with 503.
    """
    # Read now, so that the first answer in another language does not wait for it.
    translations.shipped()
    app.state.return_codes_page = public_url.rstrip("/") + RETURN_CODES_PATH
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)
    for error in unavailable:
        app.add_exception_handler(error, _unavailable)


def error_answer(
    connection: HTTPConnection,
    refusal: Refused,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error body for a refusal, in the form and the language that the client asks for.

    :param status: the HTTP status, where it is not the catalogue's.
    :param headers: what else is to be said.
    """
    worded = _Worded(refusal, connection.headers.get("accept-language"))
    status = status or refusal.code.status
    said = {**_VARIES, "content-language": worded.language, **(headers or {})}
    rc, errors = refusal.code.name, {"errors": refusal.errors} if refusal.errors else {}
    if _wants_problem(connection.headers.get("accept", "")):
        problem = {
            "type": f"{_page(connection)}#{rc}",
            "title": worded.title,
            "status": status,
            "detail": worded.message,
            "rc": rc,
            **errors,
        }
        return Response(orjson.dumps(problem), status, said, PROBLEM)
    return Answer({"message": worded.message, "rc": rc, **errors}, status, said)


class _Worded:
    """A refusal in the language that the client asked for."""

    def __init__(self, refusal: Refused, accepted: str | None) -> None:
        language = language_for(accepted)
        translation = translations.shipped().get(language)
        entry = translation.entries.get(refusal.code.name) if translation else None
        self.title = entry.message if entry else refusal.code.message
        self.message = refusal.message
        self.language = ENGLISH
        if entry and refusal.own_message is None:
            self.message = entry.message_for(refusal.details)
            self.language = language


def _wants_problem(accepted: str) -> bool:
    """Say whether problem details are asked for by name, and not less than plain JSON."""
    weights = weighted(accepted)
    return weights.get(PROBLEM, 0.0) > 0 and weights[PROBLEM] >= weights.get("application/json", 0)


def _page(connection: HTTPConnection) -> str:
    state = connection.scope["app"].state if "app" in connection.scope else None
    return str(getattr(state, "return_codes_page", RETURN_CODES_PATH))


# Coroutines all of them: Starlette would spend a thread on a plain function.


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    named = _CODES.get(error.status_code)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    refusal = Refused(named) if named else Refused(_UNNAMED, error.detail)
    if error.status_code == _METHOD_NOT_ALLOWED:
        # The exception knows the methods of one of the address's routes only.
        headers["allow"] = ", ".join(allowed_methods(request.app.router, request.scope))
    return error_answer(request, refusal, status=error.status_code, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = {".".join(map(str, each["loc"])): str(each["msg"]) for each in error.errors()}
    return error_answer(request, Refused(_UNNAMED, errors=errors))


async def _gone(request: Request, _error: Exception) -> Response:
    return error_answer(request, Refused(_UNNAMED, "The body ended early."))


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("part unavailable", error=type(error).__name__, where=where(error))
    return error_answer(request, Refused("ServiceUnavailable"), headers=_RETRY_AFTER)


async def _unexpected(request: Request, _error: Exception) -> Response:
    # The server logs the exception; a client learns nothing of how Hoard is built.
    return error_answer(request, Refused("InternalServerError"))
