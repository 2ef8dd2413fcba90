"""What a worker sends when it asks for work and when it delivers, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.bodies import Body
from api.v2.schemas.fields import Unserved, WholeNumber
from domain.image_ids import MOST_IMAGES
from domain.sampling import SEED_RANGE

LARGEST_PIXELS = 3072 * 3072
SMALLEST_PIXELS = 64 * 64

MOST_MODELS = 300


def _printable(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise PydanticCustomError("not_printable", "must be text that can be shown")
    return name.strip()


def _within_range(pixels: int) -> int:
    """A worker may be bigger than the largest image there is."""
    return min(pixels, LARGEST_PIXELS)


class PopInputStable(Body):
    """A worker, saying all about itself."""

    return_codes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("name", "string_too_long"): "TooLongWorkerName",
        ("models", "missing"): "UnsupportedModel",
        ("models", "too_short"): "UnsupportedModel",
    }

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
    models: Annotated[
        list[Annotated[str, Field(min_length=3, max_length=255)]],
        Field(min_length=1, max_length=MOST_MODELS),
    ]
    max_pixels: Annotated[
        WholeNumber,
        Field(ge=SMALLEST_PIXELS, description="Pixels of the largest image that it makes."),
        AfterValidator(_within_range),
    ] = (
        512 * 512
    )
    amount: Annotated[WholeNumber, Field(ge=1, le=MOST_IMAGES, description="Images per batch.")] = 1
    threads: Annotated[WholeNumber, Field(ge=1, le=50, description="Jobs at a time.")] = 1
    nsfw: bool = False
    bridge_agent: Annotated[str, Field(max_length=1000)] = "unknown:0:unknown"
    extra_slow_worker: bool = False

    priority_usernames: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Changes nothing here yet: requests are served in order.",
        ),
    ]
    require_upfront_kudos: Annotated[bool, Field(description="Changes nothing here yet.")] = False
    limit_max_steps: Annotated[bool, Field(description="Changes nothing here yet.")] = False
    allow_img2img: Annotated[bool, Field(description="No such requests are served yet.")] = True
    allow_painting: Annotated[bool, Field(description="No such requests are served yet.")] = True
    allow_unsafe_ipaddr: Annotated[bool, Field(description="Changes nothing here yet.")] = True
    allow_post_processing: Annotated[
        bool, Field(description="No such requests are served yet.")
    ] = True
    allow_controlnet: Annotated[bool, Field(description="No such requests are served yet.")] = True
    allow_sdxl_controlnet: Annotated[
        bool, Field(description="No such requests are served yet.")
    ] = True
    allow_lora: Annotated[bool, Field(description="No such requests are served yet.")] = True

    blacklist: Unserved = None


class SubmitInputStable(Body):
    """One image of a job, or the word that it could not be made."""

    id: Annotated[str, Field(min_length=1, max_length=100, description="The image's id.")]
    generation: Annotated[
        str | None, Field(description="The image as base64: WebP, PNG or JPEG.")
    ] = None
    seed: Annotated[
        WholeNumber | None,
        Field(ge=0, lt=SEED_RANGE, description="The seed used; needed unless faulted."),
    ] = None
    state: Literal["ok", "censored", "faulted", "csam"] = "ok"
    censored: Annotated[bool, Field(description="The same as the state censored.")] = False
    gen_metadata: Annotated[
        list[dict[str, Any]],
        Field(default_factory=list, max_length=100, description="Taken, and not kept yet."),
    ]


class ModelPayloadStable(BaseModel):
    """What is to be made."""

    prompt: str
    ddim_steps: int
    n_iter: Annotated[int, Field(description="How many images, to be made as one batch.")]
    batch_size: Literal[1] = 1
    sampler_name: str
    cfg_scale: float
    height: int
    width: int
    seed: str
    karras: bool
    clip_skip: int
    tiling: Literal[False] = False
    hires_fix: Literal[False] = False
    use_nsfw_censor: Literal[False] = False
    post_processing: list[str] = []
    loras: list[dict[str, Any]] = []
    tis: list[dict[str, Any]] = []


class NoValidRequestFoundStable(BaseModel):
    """How many waiting requests this worker may not have, by the reason."""

    worker_id: int | None = None
    performance: int | None = None
    nsfw: int | None = None
    untrusted: int | None = None
    models: int | None = None
    max_pixels: int | None = None


class GenerationPayloadStable(BaseModel):
    """A job; or, with ``id`` null, why there is none."""

    payload: Annotated[
        ModelPayloadStable | dict[str, Any], Field(description="Empty without a job.")
    ]
    id: str | None
    ids: Annotated[list[str], Field(description="One for each image, in batch order.")]
    model: str | None = None
    ttl: Annotated[int | None, Field(description="Seconds until the job is given up.")] = None
    skipped: NoValidRequestFoundStable
    messages: list[dict[str, Any]] = []
    source_image: None = None
    source_mask: None = None
    extra_source_images: None = None
    r2_upload: None = None
    r2_uploads: None = None


class GenerationSubmitted(BaseModel):
    """The delivery was taken."""

    reward: Annotated[float, Field(description="Kudos earned.")]
