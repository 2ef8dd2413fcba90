"""Bodies of the routes about accounts, their kudos and their shared keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.http.bodies import Body
from api.http.fields import WholeNumber
from domain.names import LONGEST_COMMENT, LONGEST_CONTACT


class ModifyUserInput(Body):
    """A change to an account; fields that are left out stay."""

    kudos: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            ge=-1e12,
            le=1e12,
            description="Kudos to be given, or below zero taken; admins only.",
        ),
    ] = None
    concurrency: Annotated[
        WholeNumber | None,
        Field(ge=0, le=500, description="Images that may wait at a time; moderators only."),
    ] = None
    usage_multiplier: Annotated[
        float | None, Field(ge=0.1, le=10, description="Not served: prices are the same for all.")
    ] = None
    worker_invited: Annotated[
        WholeNumber | None,
        Field(ge=0, le=1000, description="Workers beside those of everybody; moderators only."),
    ] = None
    moderator: Annotated[bool | None, Field(description="Admins only.")] = None
    admin: Annotated[
        bool | None, Field(description="Admins only. Not in the AI Horde's interface.")
    ] = None
    public_workers: Annotated[
        bool | None, Field(description="Whether everybody sees which workers are its own.")
    ] = None
    monthly_kudos: Annotated[
        WholeNumber | None, Field(description="Not served: award kudos by hand or by a job.")
    ] = None
    username: Annotated[
        str | None, Field(min_length=3, max_length=100, description="At most 30 characters count.")
    ] = None
    trusted: Annotated[bool | None, Field(description="Moderators only.")] = None
    patron: Annotated[
        bool | None, Field(description="Moderators only. Not in the AI Horde's interface.")
    ] = None
    flagged: Annotated[bool | None, Field(description="Moderators only.")] = None
    customizer: Annotated[bool | None, Field(description="Moderators only.")] = None
    vpn: Annotated[bool | None, Field(description="Moderators only.")] = None
    service: Annotated[bool | None, Field(description="Moderators only.")] = None
    education: Annotated[bool | None, Field(description="Moderators only.")] = None
    special: Annotated[bool | None, Field(description="Moderators only.")] = None
    undelete: Annotated[
        bool | None, Field(description="Opens a deleted account again; moderators only.")
    ] = None
    filtered: Annotated[bool | None, Field(description="Not served: filters are left out.")] = None
    reset_suspicion: Annotated[
        bool | None, Field(description="Taken from moderators; there is no suspicion here.")
    ] = None
    generate_proxy_passkey: Annotated[
        bool, Field(description="Not served; of service accounts only.")
    ] = False
    contact: Annotated[str | None, Field(min_length=5, max_length=LONGEST_CONTACT)] = None
    admin_comment: Annotated[
        str | None, Field(min_length=5, max_length=LONGEST_COMMENT, description="Moderators only.")
    ] = None


class ModifyUser(BaseModel):
    """What was changed, and nothing else."""

    new_kudos: float | None = None
    concurrency: int | None = None
    usage_multiplier: float | None = None
    worker_invited: int | None = None
    moderator: bool | None = None
    admin: bool | None = None
    public_workers: bool | None = None
    username: str | None = None
    monthly_kudos: int | None = None
    trusted: bool | None = None
    patron: bool | None = None
    flagged: bool | None = None
    customizer: bool | None = None
    vpn: bool | None = None
    service: bool | None = None
    education: bool | None = None
    special: bool | None = None
    undeleted: bool | None = None
    new_suspicion: int | None = None
    contact: str | None = None
    admin_comment: str | None = None
    proxy_passkey: str | None = None


class UserKudosDetails(BaseModel):
    """Where kudos came from and went to."""

    accumulated: Annotated[float, Field(description="Earned by its workers, less what it burnt.")]
    gifted: Annotated[float, Field(description="Sent to others; zero or below.")]
    donated: float = 0
    admin: float = 0
    received: Annotated[float, Field(description="From others.")]
    recurring: float = 0
    awarded: Annotated[float, Field(description="By admins, less what they took.")]
    styled: float = 0


class UserActiveGenerations(BaseModel):
    """The ids of requests that are not over; the account itself and moderators see them."""

    text: list[str] = []
    image: list[str]
    alchemy: list[str] = []


class MonthlyKudos(BaseModel):
    """Kudos that come by themselves: none do."""

    amount: int = 0
    last_received: str | None = None


class UsageDetails(BaseModel):
    """What it asked for."""

    megapixelsteps: float
    requests: int


class ContributionsDetails(BaseModel):
    """What its workers made."""

    megapixelsteps: float
    fulfillments: int


class UserThingRecords(BaseModel):
    """Work."""

    megapixelsteps: float = 0
    tokens: int = 0


class UserAmountRecords(BaseModel):
    """Counts."""

    image: int = 0
    text: int = 0
    interrogation: int = 0


class UserRecords(BaseModel):
    """What it asked for and what its workers made."""

    usage: UserThingRecords
    contribution: UserThingRecords
    fulfillment: UserAmountRecords
    request: UserAmountRecords
    style: UserAmountRecords


class ResponseModelStylesUser(BaseModel):
    """A style of an account; styles are left out, so there is none."""

    id: str
    name: str
    type: str


class UserDetails(BaseModel):
    """An account. What only its owner or moderators see is left out for all others."""

    username: Annotated[str, Field(description="`name#number`.")]
    id: Annotated[int, Field(description="The number.")]
    kudos: Annotated[float, Field(description="What it can spend: what is held does not count.")]
    evaluating_kudos: Annotated[float | None, Field(description="Always 0; moderators.")] = None
    concurrency: Annotated[int, Field(description="Images that may wait at a time.")]
    worker_invited: int
    moderator: bool
    kudos_details: UserKudosDetails
    worker_count: int
    worker_ids: Annotated[
        list[str] | None, Field(description="If they are public; the owner and moderators.")
    ] = None
    styles: list[ResponseModelStylesUser] = []
    sharedkey_ids: Annotated[
        list[str] | None, Field(description="Public ids; the owner and moderators.")
    ] = None
    active_generations: UserActiveGenerations | None = None
    monthly_kudos: MonthlyKudos | None = None
    trusted: bool
    flagged: bool
    vpn: Annotated[bool | None, Field(description="The owner and moderators.")] = None
    service: bool
    education: bool
    customizer: Annotated[bool | None, Field(description="The owner and moderators.")] = None
    special: Annotated[bool | None, Field(description="The owner and moderators.")] = None
    deleted: Annotated[bool | None, Field(description="Moderators.")] = None
    suspicious: Annotated[int | None, Field(description="Always 0; moderators.")] = None
    pseudonymous: Annotated[bool, Field(description="Whether nobody vouches for who it is.")]
    contact: Annotated[str | None, Field(description="The owner and moderators.")] = None
    admin_comment: Annotated[str | None, Field(description="Moderators.")] = None
    proxy_passkey: Annotated[str | None, Field(description="Always left out.")] = None
    account_age: Annotated[int, Field(description="Seconds.")]
    usage: UsageDetails
    contributions: ContributionsDetails
    records: UserRecords


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
