"""Error bodies: whatever goes wrong, the client reads ``{message, rc}`` and the right status."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.answer import Answer
from domain.return_codes import CATALOGUE, Refused

_UNNAMED = "BadRequest"
"""The code of whatever no other code names, such as a path that does not exist."""

_MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
}


def error_answer(
    rc: str,
    message: str,
    *,
    status: int,
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return an error body: ``errors``, by field, only where fields are wrong."""
    body: dict[str, object] = {"message": message, "rc": rc}
    if errors:
        body["errors"] = errors
    return Answer(body, status_code=status, headers=dict(headers or {}))


def install_error_answers(app: FastAPI) -> None:
    """Answer every exception that leaves a route with an error body."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


# Coroutines all of them: Starlette would spend a thread on a plain function.


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(
        error.code.name, error.message, status=error.code.status, errors=error.errors
    )


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_answer(
        _UNNAMED,
        _MESSAGES.get(error.status_code, error.detail),
        status=error.status_code,
        headers=error.headers,
    )


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = {".".join(map(str, each["loc"])): str(each["msg"]) for each in error.errors()}
    return error_answer(_UNNAMED, CATALOGUE[_UNNAMED].message, status=400, errors=errors)


async def _gone(_request: Request, _error: Exception) -> Response:
    return error_answer(_UNNAMED, "The body ended early.", status=400)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    # The server logs the exception; a client learns nothing of how Hoard is built.
    code = CATALOGUE["InternalServerError"]
    return error_answer(code.name, code.message, status=code.status)
