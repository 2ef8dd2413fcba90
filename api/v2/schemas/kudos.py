"""Kudos that move by decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.bodies import Body
from api.v2.schemas.fields import WholeNumber

_MOST = 10**12

Username = Annotated[str, Field(min_length=3, max_length=130, description="`name#number`.")]


class KudosTransferInput(Body):
    """Kudos to be sent."""

    username: Username
    amount: Annotated[WholeNumber, Field(ge=-_MOST, le=_MOST, description="At least 1.")]


class KudosAwardInput(Body):
    """Kudos to be given out of nowhere."""

    username: Username
    amount: Annotated[
        WholeNumber, Field(ge=-_MOST, le=_MOST, description="Below zero, as many are taken.")
    ]


class KudosTransferred(BaseModel):
    """They were sent."""

    transferred: float


class KudosAwarded(BaseModel):
    """They were given."""

    awarded: float
