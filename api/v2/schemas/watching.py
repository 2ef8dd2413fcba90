"""What a front-end is told while it waits, and when its images are there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class RequestStatusCheck(BaseModel):
    """How far a request is."""

    finished: Annotated[int, Field(description="Images that are there.")]
    processing: Annotated[int, Field(description="Images that workers are making.")]
    restarted: Annotated[int, Field(description="Images that were lost and put back.")]
    waiting: Annotated[int, Field(description="Images that no worker has.")]
    done: Annotated[bool, Field(description="Whether no more images will come.")]
    faulted: bool
    wait_time: Annotated[int, Field(description="Estimated seconds until it is done.")]
    queue_position: Annotated[
        int, Field(description="Its place in the queue, from 1; 0 when no image of it waits.")
    ]
    kudos: Annotated[float, Field(description="What it burns when all of it is made.")]
    is_possible: Annotated[bool, Field(description="Whether a worker that is here may serve it.")]


class GenerationMetadataStable(BaseModel):
    """Something to know about one image."""

    type: Literal["batch_index"]
    value: Literal["see_ref"]
    ref: Annotated[
        str, Field(description="The image's place in its batch: with the seed, what replicates it.")
    ]


class GenerationStable(BaseModel):
    """One image that was made."""

    img: Annotated[str, Field(description="An address, or base64 where r2 is false.")]
    seed: str
    id: str
    censored: bool
    gen_metadata: list[GenerationMetadataStable]
    worker_id: str
    worker_name: str
    model: str
    state: Literal["ok", "censored", "csam"]


class RequestStatusStable(RequestStatusCheck):
    """How far a request is, with the images that are there."""

    generations: list[GenerationStable]
    shared: bool
