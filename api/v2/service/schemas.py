"""Bodies of the routes about the service: its state and its return codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.bodies import Body


class Heartbeat(BaseModel):
    """The server is up."""

    message: Literal["OK"]
    version: str


class HordePerformance(BaseModel):
    """How much waits, and who is there to do it; of text and alchemy there is nothing."""

    queued_requests: int
    """Images that wait."""
    queued_text_requests: int
    worker_count: int
    text_worker_count: int
    thread_count: int
    """Jobs that the workers run at a time, all together."""
    text_thread_count: int
    queued_megapixelsteps: float
    past_minute_megapixelsteps: float
    queued_forms: float
    interrogator_count: int
    interrogator_thread_count: int
    queued_tokens: float
    past_minute_tokens: float


class HordeModes(BaseModel):
    """The modes of the service."""

    maintenance_mode: bool
    """No new requests are taken."""
    invite_only_mode: bool
    """New workers are taken from invited accounts only."""
    raid_mode: bool | None = None
    """Moderators expect abuse; shown to moderators only."""


class ModifyHordeModes(Body):
    """Which modes to change; fields that are left out stay."""

    maintenance_mode: bool | None = None
    invite_only_mode: bool | None = None
    raid_mode: bool | None = None


class Newspiece(BaseModel):
    """One piece of news."""

    date_published: str
    """ISO 8601 date."""
    newspiece: str
    """Markdown."""
    importance: str
    tags: list[str]
    title: str
    more_info_urls: list[str]


class ReturnCodeEntry(BaseModel):
    """One return code."""

    rc: Annotated[str, Field(description="What to compare with.")]
    status: Annotated[int, Field(description="The HTTP status that goes with it.")]
    message: Annotated[str, Field(description="What a person reads.")]
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
