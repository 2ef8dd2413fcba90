"""Bodies of the routes about workers, and about network addresses that are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.http.bodies import Body
from api.http.fields import WholeNumber
from domain.names import LONGEST_WORKER_INFO


class ModifyWorkerInput(Body):
    """A change to a worker; fields that are left out stay."""

    maintenance: Annotated[
        bool | None,
        Field(description="In maintenance it gets no jobs but those of its own account."),
    ] = None
    maintenance_msg: Annotated[
        str | None,
        Field(max_length=1000, description="Why; shown to the worker. With maintenance only."),
    ] = None
    paused: Annotated[bool | None, Field(description="Moderators only.")] = None
    info: Annotated[
        str | None,
        Field(max_length=LONGEST_WORKER_INFO, description="Empty takes it away."),
    ] = None
    name: Annotated[
        str | None, Field(min_length=5, description="At most 100 characters; nobody else's.")
    ] = None
    team: Annotated[
        str | None, Field(max_length=36, description="Teams are not served; empty is the only one.")
    ] = None


class ModifyWorker(BaseModel):
    """What was changed, and nothing else."""

    maintenance: bool | None = None
    paused: bool | None = None
    info: str | None = None
    name: str | None = None
    team: str | None = None


class DeletedWorker(BaseModel):
    """A worker that is no more."""

    deleted_id: str
    deleted_name: str


class WorkerKudosDetails(BaseModel):
    """What its owner earned by it."""

    generated: float
    uptime: Annotated[int, Field(description="Always 0: only images earn kudos.")] = 0


class TeamDetailsLite(BaseModel):
    """Teams are left out."""

    name: str | None = None
    id: str | None = None


class ResponseModelMessage(BaseModel):
    """A message to a worker."""

    id: str
    worker_id: Annotated[str | None, Field(description="Left out: for every worker.")] = None
    user_id: Annotated[str, Field(description="`name#number` of the sender.")]
    message: str
    origin: str
    expiry: Annotated[int, Field(description="Hours left until it ends; 0 when it has ended.")]
    expires_at: Annotated[str, Field(description="When it ends.")]


class MessageInput(Body):
    """A message to be sent."""

    worker_id: Annotated[
        str | None,
        Field(min_length=36, max_length=36, description="Left out, by moderators: every worker."),
    ] = None
    message: Annotated[str, Field(min_length=1, max_length=10_240)]
    origin: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="Who speaks; of anybody but a moderator, always the account.",
        ),
    ] = None
    expiry: Annotated[WholeNumber, Field(ge=1, le=720, description="Hours.")] = 12


class WorkerDetails(BaseModel):
    """A worker. What only its owner or moderators see is left out for all others."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["image"] = "image"
    name: str
    id: str
    online: Annotated[bool, Field(description="Whether it asked for work within five minutes.")]
    requests_fulfilled: Annotated[int, Field(description="Images.")]
    kudos_rewards: float
    kudos_details: WorkerKudosDetails
    performance: str
    threads: int
    uptime: Annotated[int, Field(description="Seconds that it had jobs in hand.")]
    maintenance_mode: bool
    paused: Annotated[bool | None, Field(description="The owner and moderators.")] = None
    info: str | None = None
    nsfw: bool
    owner: Annotated[
        str | None, Field(description="If its workers are public; the owner and moderators.")
    ] = None
    ipaddr: Annotated[
        str | None, Field(description="Always left out: no network address is kept.")
    ] = None
    trusted: bool
    flagged: Annotated[
        bool, Field(description="Whether its owner is suspected, or it lost too many images.")
    ]
    suspicious: Annotated[int | None, Field(description="Always 0; moderators.")] = None
    uncompleted_jobs: int
    models: list[str]
    forms: list[str] = []
    team: TeamDetailsLite
    contact: Annotated[str | None, Field(description="The owner's; moderators.")] = None
    bridge_agent: str
    max_pixels: int
    megapixelsteps_generated: Annotated[int, Field(description="Whole: horde-sdk reads no other.")]
    img2img: bool
    painting: bool
    post_processing: Annotated[bool, Field(alias="post-processing")]
    lora: bool
    controlnet: bool
    sdxl_controlnet: bool
    max_length: Annotated[int | None, Field(description="Of text workers.")] = None
    max_context_length: Annotated[int | None, Field(description="Of text workers.")] = None
    tokens_generated: Annotated[float | None, Field(description="Of text workers.")] = None
    messages: Annotated[
        list[ResponseModelMessage] | None, Field(description="The owner and moderators.")
    ] = None


class AddTimeoutIPInput(Body):
    """An address or a network to be shut out."""

    ipaddr: Annotated[str, Field(min_length=7, max_length=43, description="Or a network.")]
    hours: Annotated[WholeNumber, Field(ge=1, le=720)]


class DeleteTimeoutIPInput(Body):
    """An address or a network to be let in again."""

    ipaddr: Annotated[str, Field(min_length=7, max_length=43)]


class AddWorkerTimeout(Body):
    """For how long a worker's address is to be shut out."""

    days: Annotated[WholeNumber, Field(ge=1, le=30)]


class IPTimeout(BaseModel):
    """Who is shut out."""

    ipaddr: Annotated[
        str, Field(description="An address, a network, or the digest of a worker's address.")
    ]
    seconds: Annotated[int, Field(description="For how much longer.")]
