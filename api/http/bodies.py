"""Request bodies: read once, as JSON that a model describes, or refused with the right code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json
from starlette.requests import Request

from domain.return_codes import RETURN_CODES, Refused

_ESCAPED_NUL = b"\\u0000"
_MOST_ERRORS = 20


class Body(BaseModel):
    """What all bodies have in common.

    Types are not converted (``"30"`` is no number), ``null`` means left out, and fields that
    nobody knows are ignored, as the AI Horde does.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", hide_input_in_errors=True, protected_namespaces=()
    )

    return_codes: ClassVar[Mapping[tuple[str, str], str]] = {}
    """Which return code stands for which kind of error in which field (dotted from the top).

    A kind that is itself the name of a return code needs no entry; all else is ``BadRequest``.
    """

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return given


Model = TypeVar("Model", bound=Body)


async def _raw_body(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]
"""A handler's parameter: the body as it came. It is parsed where it may take time: in a thread."""


def read_body(model: type[Model], raw: bytes) -> Model:
    """Read a body.

    :raises Refused: with what is wrong by field; the first error in the model's order decides the
        code. What the client wrote is never repeated.
    """
    try:
        given = model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal(model, error) from None
    if _ESCAPED_NUL in raw:
        _refuse_nul(raw)
    return given


def _refusal(model: type[Body], error: ValidationError) -> Refused:
    details = error.errors(include_url=False, include_input=False)
    first = details[0]
    if first["type"] == "json_invalid":
        return Refused("BadRequest", f"The body could not be read. {first['msg']}.")
    if not first["loc"]:
        return Refused("BadRequest", "The body must be a JSON object.")
    field = _name(first)
    code = _code(model, first)
    errors = {_name(detail): detail["msg"] for detail in reversed(details[:_MOST_ERRORS])}
    if code == "BadRequest":
        return Refused(code, f"{field}: {first['msg']}", errors)
    # Figures of the case that a validator of ours gives may be shown; pydantic's need not be.
    known = first.get("ctx", {}) if first["type"] == code else {}
    return Refused(code, None, errors, **known)


def _code(model: type[Body], detail: ErrorDetails) -> str:
    kind = detail["type"]
    return (
        kind
        if kind in RETURN_CODES
        else model.return_codes.get((_name(detail), kind), "BadRequest")
    )


def _name(detail: ErrorDetails) -> str:
    return ".".join(map(str, detail["loc"]))


def _refuse_nul(raw: bytes) -> None:
    """Look closer: six characters that say NUL may also be a backslash, spelt out, and some text.

    :raises Refused: ``NulByteInPayload``.
    """
    fields = list(_fields_with_nul(from_json(raw), ""))
    if fields:
        errors = dict.fromkeys(fields[:_MOST_ERRORS], "holds a NUL character")
        raise Refused("NulByteInPayload", errors=errors)


def _fields_with_nul(value: Any, name: str) -> Iterator[str]:
    match value:
        case str():
            if "\0" in value:
                yield name
        case dict():
            for key, inner in value.items():
                if "\0" in key:
                    yield name
                else:
                    yield from _fields_with_nul(inner, f"{name}.{key}" if name else key)
        case list():
            for index, inner in enumerate(value):
                yield from _fields_with_nul(inner, f"{name}.{index}")
