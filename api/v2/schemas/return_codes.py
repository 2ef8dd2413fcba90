"""An entry of the catalogue of return codes, as the documentation shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class ReturnCodeEntry(BaseModel):
    """One return code."""

    rc: Annotated[str, Field(description="What to compare with.")]
    status: Annotated[int, Field(description="The HTTP status that goes with it.")]
    message: Annotated[str, Field(description="What a person is told.")]
    detailed: Annotated[
        str | None,
        Field(description="The same with the figures of the case, which are named in braces."),
    ]
    when: Annotated[str, Field(description="When it happens; in English.")]
    advice: Annotated[str, Field(description="What to do about it.")]
    reserved: Annotated[
        bool, Field(description="Whether it is only kept for a feature that is not built.")
    ]
    base: Annotated[bool, Field(description="Whether it names a family: nothing answers with it.")]
