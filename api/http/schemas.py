"""Answers that many routes give, as the description shows them: errors, and plain success."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from domain.return_codes import RETURN_CODES


class RequestError(BaseModel):
    """What went wrong."""

    message: Annotated[str, Field(description="For people.")]
    rc: Annotated[
        str, Field(description="For programs.", json_schema_extra={"enum": sorted(RETURN_CODES)})
    ]


class RequestValidationError(RequestError):
    """What went wrong, and in which fields."""

    errors: Annotated[
        dict[str, str] | None, Field(description="What is wrong, by the field's dotted name.")
    ] = None


class SimpleResponse(BaseModel):
    """It is done."""

    message: str = "OK"
