"""The description of the API that machines read: bodies, answers and every error."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic.json_schema import models_json_schema

from api.http.bodies import Body
from api.http.schemas import RequestError, RequestValidationError
from domain.return_codes import RETURN_CODES

_COMPONENT = "#/components/schemas/{model}"

_WHEN = {
    400: "The request is wrong; `errors` says where, if fields are.",
    401: "No account has this API key.",
    403: "The account may not do this.",
    404: "There is no such thing.",
    413: "The body is too large.",
    415: "The body is compressed.",
    423: "Other changes came first; try again.",
    429: "Too much at once; `Retry-After` says when to try again, if it is there.",
    500: "Something broke that should not.",
    503: "The database or another part is unavailable; `Retry-After` says when to try again.",
}


_OF_BODIES = {
    str(status): {
        "description": _WHEN[status],
        "content": {
            "application/json": {"schema": {"$ref": _COMPONENT.format(model="RequestError")}}
        },
    }
    for status in (413, 415)
}
"""What every address that takes a body may answer, before anybody looks at the body."""


class BodyDescription(dict[str, Any]):
    """What a route adds to its description, together with the models that it refers to."""

    def __init__(self, models: Sequence[type[Body]], description: dict[str, Any]) -> None:
        super().__init__(description)
        self.models = models


def request_body(*models: type[Body], required: bool = True) -> BodyDescription:
    """Return the part of a route's description that names the JSON bodies that it takes.

    :param required: whether there has to be one.
    """
    references = [{"$ref": _COMPONENT.format(model=model.__name__)} for model in models]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    content = {"application/json": {"schema": schema}}
    return BodyDescription(models, {"requestBody": {"required": required, "content": content}})


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route, 500 and 503 among them."""
    return {
        status: {
            "model": RequestValidationError if status == 400 else RequestError,
            "description": _WHEN.get(status, HTTPStatus(status).phrase),
        }
        for status in (*statuses, 500, 503)
    }


def describe(app: FastAPI) -> None:
    """Have an application describe itself, with the bodies that its routes take."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=_introduction(),
                routes=app.routes,
            )
            _, definitions = models_json_schema(
                [(body, "validation") for body in _bodies_of(app)], ref_template=_COMPONENT
            )
            schema["components"]["schemas"].update(definitions["$defs"])
            _forget_unused(schema)
            _say_json(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    # FastAPI's own way of replacing the description.
    app.openapi = openapi  # type: ignore[method-assign]


def _bodies_of(app: FastAPI) -> Sequence[type[Body]]:
    """Return the models that routes refer to with :func:`request_body`, each once."""
    described = [
        getattr(context.original_route, "openapi_extra", None)
        for context in iter_route_contexts(app.routes)
    ]
    return tuple(
        dict.fromkeys(
            model
            for extra in described
            if isinstance(extra, BodyDescription)
            for model in extra.models
        )
    )


def _forget_unused(schema: dict[str, Any]) -> None:
    """Take out FastAPI's own validation error, which no route answers with."""
    for methods in schema["paths"].values():
        for route in methods.values():
            route["responses"].pop("422", None)
            if "requestBody" in route:
                for status, answer in _OF_BODIES.items():
                    route["responses"].setdefault(status, answer)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _say_json(schema: dict[str, Any]) -> None:
    """Remove the ``type`` that FastAPI puts beside the reference to a body's schema."""
    for methods in schema["paths"].values():
        for route in methods.values():
            for answer in route["responses"].values():
                described = answer.get("content", {}).get("application/json", {}).get("schema", {})
                if described.keys() & {"$ref", "anyOf", "oneOf"}:
                    described.pop("type", None)


def _introduction() -> str:
    lines = "\n".join(
        f"| `{code.name}` | {code.status} | {code.message} |"
        for code in RETURN_CODES.values()
        if code.may_be_raised
    )
    return (
        "The AI Horde v2 API, as far as it is about images. Every error body is `{message, rc}`, "
        "or problem details (RFC 9457) for a client that accepts `application/problem+json`; "
        "`Accept-Language` chooses the language of the message. The header `X-Fields`, such as "
        "`id,kudos` or `{records{request{image}}}`, limits any JSON answer to these fields. "
        "The return codes:"
        f"\n\n| rc | status | meaning |\n| --- | --- | --- |\n{lines}\n"
    )
