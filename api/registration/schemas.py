"""Bodies of the native routes about accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.http.bodies import Body
from domain.names import LONGEST_CONTACT


class RegisterInput(Body):
    """An account to be opened."""

    username: Annotated[str, Field(min_length=1, max_length=100, description="1 to 30 characters.")]
    contact: Annotated[
        str, Field(max_length=LONGEST_CONTACT, description="How operators can reach you.")
    ] = ""


class AccountWithKey(BaseModel):
    """An account and its key."""

    username: Annotated[str, Field(description="`name#number`.")]
    api_key: Annotated[str, Field(description="Shown this once: only its digest is stored.")]
