"""What a worker sends when it asks for work and when it delivers, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, create_model

from api.http.bodies import Body
from api.http.fields import WholeNumber
from api.v2.requests.schemas import (
    ExtraSourceImage,
    ExtraText,
    ModelPayloadLorasStable,
    ModelPayloadTextualInversionsStable,
)
from domain.images.metadata import LONGEST_REF, MetadataType, MetadataValue
from domain.jobs.image_ids import MOST_IMAGES
from domain.names import LONGEST_WORKER_NAME
from domain.workers.matching import SkipReason

LARGEST_PIXELS = 3072 * 3072
SMALLEST_PIXELS = 64 * 64

MOST_MODELS = 300
MOST_PRIORITISED = 20
MOST_WORDS = 100
MOST_FEATURES = 100


def _within_range(pixels: int) -> int:
    """A worker may be bigger than the largest image there is."""
    return min(pixels, LARGEST_PIXELS)


class PopInputStable(Body):
    """A worker, saying all about itself."""

    return_codes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("name", "string_too_long"): "TooLongWorkerName",
        ("models", "missing"): "UnsupportedModel",
        ("models", "too_short"): "UnsupportedModel",
        ("priority_usernames", "too_long"): "InvalidPriorityUsername",
    }

    name: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_WORKER_NAME, description="Unique; shown to all."),
    ]
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
    extra_slow_worker: Annotated[
        bool, Field(description="Whether it is so slow that only who allows it should wait for it.")
    ] = False

    priority_usernames: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(
            default_factory=list,
            max_length=MOST_PRIORITISED,
            description="As name#number: served before all others, as the owner's own account is.",
        ),
    ]
    require_upfront_kudos: Annotated[
        bool, Field(description="Only requests whose kudos were there when they were submitted.")
    ] = False
    limit_max_steps: Annotated[
        bool, Field(description="No requests with more steps than are usual for their models.")
    ] = False
    blacklist: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(
            default_factory=list,
            max_length=1000,
            description="No requests in whose prompts one of these is found.",
        ),
    ]
    allow_img2img: bool = True
    allow_painting: bool = True
    allow_unsafe_ipaddr: Annotated[
        bool, Field(description="Also requests through networks that the operators call unsafe.")
    ] = True
    allow_post_processing: bool = True
    allow_controlnet: bool = True
    allow_sdxl_controlnet: bool = True
    allow_lora: Annotated[bool, Field(description="LoRAs and textual inversions.")] = True
    features: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(
            default_factory=list,
            max_length=MOST_FEATURES,
            description="What it can do beyond what is known of its software, such as `hires_fix` "
            "or the name of a post-processor. Not of the AI Horde's API: leave it out there.",
        ),
    ]


class GenerationMetadataStable(Body):
    """A word about an image."""

    type: MetadataType
    value: MetadataValue
    ref: Annotated[str | None, Field(max_length=LONGEST_REF)] = None


class SubmitInputStable(Body):
    """One image of a job, or the word that it could not be made."""

    id: Annotated[str, Field(min_length=1, max_length=100, description="The image's id.")]
    generation: Annotated[
        str | None,
        Field(description="`R2` when it was uploaded; or the image as base64: WebP, PNG or JPEG."),
    ] = None
    seed: Annotated[
        int | float | str | None,
        Field(
            description="The seed used; needed unless faulted. What is no whole number from 0 to"
            " 2^32 - 1 counts as the job's seed."
        ),
    ] = None
    state: Literal["ok", "censored", "faulted", "csam"] = "ok"
    censored: Annotated[bool, Field(description="The same as the state censored.")] = False
    gen_metadata: Annotated[
        list[GenerationMetadataStable], Field(default_factory=list, max_length=MOST_WORDS)
    ]


class ModelPayloadStable(BaseModel):
    """What is to be made."""

    prompt: str
    ddim_steps: int
    n_iter: Annotated[int, Field(description="How many images, to be made as one batch.")]
    sampler_name: str
    cfg_scale: float
    height: int
    width: int
    seed: str
    karras: bool
    clip_skip: int
    tiling: bool
    hires_fix: bool
    hires_fix_denoising_strength: float | None = None
    denoising_strength: float | None = None
    transparent: bool
    use_nsfw_censor: Annotated[
        bool, Field(description="Whether what turns out to be adult content is to be censored.")
    ]
    post_processing: list[str]
    facefixer_strength: float | None = None
    control_type: str | None = None
    image_is_control: bool = False
    return_control_map: bool = False
    loras: list[ModelPayloadLorasStable]
    tis: list[ModelPayloadTextualInversionsStable]
    workflow: str | None = None
    extra_texts: list[ExtraText] | None = None
    seed_variation: Annotated[
        int | None, Field(description="Never there: `seed` has it within.")
    ] = None
    special: Annotated[dict[str, Any] | None, Field(description="Never there.")] = None


NoValidRequestFoundStable = create_model(
    "NoValidRequestFoundStable",
    __doc__="How many waiting requests this worker may not have, by the skip reason.",
    **{
        reason.name.lower(): (Annotated[int | None, Field(alias=reason.value)], None)
        for reason in SkipReason
    },  # type: ignore[call-overload]
)


class MessageToWorker(BaseModel):
    """What the operators, or the owner, have the worker read."""

    id: str
    message: str
    origin: str | None = None
    expiry: str


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
    messages: list[MessageToWorker] = []
    source_processing: str | None = None
    source_image: Annotated[str | None, Field(description="A WebP as base64.")] = None
    source_mask: Annotated[str | None, Field(description="A WebP as base64.")] = None
    extra_source_images: list[ExtraSourceImage] | None = None
    r2_upload: Annotated[str | None, Field(description="The first of `r2_uploads`.")] = None
    r2_uploads: Annotated[
        list[str] | None,
        Field(description="For each image, in batch order, the address to PUT it to, once."),
    ] = None


class GenerationSubmitted(BaseModel):
    """The delivery was taken."""

    reward: Annotated[float, Field(description="Kudos earned.")]
