"""Shared keys: what an account sets about them, and what is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.bodies import Body
from api.v2.schemas.fields import WholeNumber

DEFAULT_KUDOS = 5000


class SharedKeyInput(Body):
    """How far a shared key goes; -1 is without a limit."""

    kudos: Annotated[
        WholeNumber | None,
        Field(
            ge=-1,
            le=50_000_000,
            description=f"What it can still spend from now on; {DEFAULT_KUDOS} for a new key.",
        ),
    ] = None
    expiry: Annotated[
        WholeNumber | None,
        Field(ge=-1, le=36_500, description="Days from now; -1, as for a new key: never."),
    ] = None
    name: Annotated[str | None, Field(min_length=3, max_length=255)] = None
    max_image_pixels: Annotated[
        WholeNumber | None, Field(ge=-1, le=4_194_304, description="Pixels of the largest image.")
    ] = None
    max_image_steps: Annotated[WholeNumber | None, Field(ge=-1, le=500)] = None
    max_text_tokens: Annotated[
        WholeNumber | None, Field(ge=-1, le=500, description="Taken, and without effect.")
    ] = None


class SharedKeyDetails(BaseModel):
    """A shared key."""

    id: Annotated[
        str,
        Field(
            description="Of a key that was just made: the key itself, shown this once. Else what "
            "it was asked for by: the key, or its public id."
        ),
    ]
    username: Annotated[str, Field(description="`name#number` of its owner.")]
    name: str
    kudos: Annotated[int, Field(description="What it can still spend; -1 without a limit.")]
    expiry: Annotated[str | None, Field(description="When it ends; null for never.")] = None
    utilized: Annotated[int, Field(description="Kudos spent under it, what is held included.")]
    max_image_pixels: int
    max_image_steps: int
    max_text_tokens: int = -1
