"""What a front-end sends when it asks for images, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from api.bodies import Body
from api.v2.schemas.fields import (
    CfgScale,
    ModelName,
    SamplerName,
    Side,
    Strength,
    Unserved,
    WholeNumber,
)

MOST_MODELS = 300
MOST_WORKERS = 5

_OUT_OF_RANGE = ("greater_than_equal", "less_than_equal", "multiple_of")


class ModelGenerationInputStable(Body):
    """How the images are to be made."""

    sampler_name: SamplerName = "k_euler_a"
    cfg_scale: CfgScale = 5.0
    denoising_strength: Annotated[
        Strength | None, Field(description="Means nothing without a source image.")
    ] = None
    hires_fix_denoising_strength: Annotated[
        Strength | None, Field(description="Means nothing without hires_fix.")
    ] = None
    height: Side = 512
    width: Side = 512
    karras: bool = True
    clip_skip: Annotated[WholeNumber, Field(ge=1, le=12)] = 1
    facefixer_strength: Annotated[
        float | None,
        Field(ge=0, le=1, allow_inf_nan=False, description="Means nothing without a face fixer."),
    ] = None
    seed: Annotated[
        str | None, Field(description="Any text; left out, each job gets a random seed.")
    ] = None
    seed_variation: Annotated[
        WholeNumber, Field(ge=1, le=1000, description="Added to the seed for each further job.")
    ] = 1
    steps: Annotated[WholeNumber, Field(ge=1, le=500)] = 30
    n: Annotated[WholeNumber, Field(ge=1, le=20, description="How many images.")] = 1

    post_processing: Unserved = None
    tiling: Unserved = None
    hires_fix: Unserved = None
    loras: Unserved = None
    tis: Unserved = None
    special: Unserved = None
    workflow: Unserved = None
    transparent: Unserved = None
    control_type: Unserved = None
    image_is_control: Unserved = None
    return_control_map: Unserved = None
    extra_texts: Unserved = None


class GenerationInputStable(Body):
    """A request for images."""

    return_codes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("prompt", "missing"): "MissingPrompt",
        ("prompt", "string_too_short"): "MissingPrompt",
        ("params.steps", "less_than_equal"): "TooManySteps",
        **{
            (f"params.{side}", kind): "InvalidSize"
            for side in ("width", "height")
            for kind in _OUT_OF_RANGE
        },
        **{
            ("params.cfg_scale", kind): "BadCFGNumber"
            for kind in ("greater_than_equal", "less_than_equal", "finite_number", "float_type")
        },
    }

    prompt: Annotated[
        str, Field(min_length=1, description="What to draw; after ###, what not to draw.")
    ]
    params: ModelGenerationInputStable = ModelGenerationInputStable()
    nsfw: bool = False
    trusted_workers: bool = False
    slow_workers: bool = True
    extra_slow_workers: bool = False
    workers: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]],
        Field(
            default_factory=list, max_length=MOST_WORKERS, description="Ids or names of workers."
        ),
    ]
    worker_blacklist: Annotated[
        bool, Field(description="Whether workers may not serve it, instead of they alone.")
    ] = False
    models: Annotated[
        list[ModelName],
        Field(default_factory=list, max_length=MOST_MODELS, description="Empty: any."),
    ]
    r2: Annotated[bool, Field(description="Answer with addresses of images, not base64.")] = True
    shared: bool = False
    dry_run: Annotated[bool, Field(description="Only say what it would cost.")] = False
    disable_batching: Annotated[
        bool, Field(description="Each image a job of its own; trusted users and patrons.")
    ] = False

    validated_backends: Annotated[bool, Field(description="Changes nothing here.")] = True
    replacement_filter: Annotated[bool, Field(description="Changes nothing here.")] = True
    allow_downgrade: Annotated[
        bool, Field(description="Changes nothing here: no kudos are needed up front.")
    ] = False
    censor_nsfw: Annotated[
        bool, Field(description="Workers here do not censor yet; the answer's message says so.")
    ] = False
    source_processing: Literal["img2img", "txt2img"] = "img2img"

    source_image: Unserved = None
    source_mask: Unserved = None
    extra_source_images: Unserved = None
    proxied_account: Unserved = None
    webhook: Unserved = None
    style: Unserved = None


class RequestSingleWarning(BaseModel):
    """Something that the client may want to change."""

    code: Literal["NoAvailableWorker"]
    message: str


class RequestAsync(BaseModel):
    """The request is in the queue."""

    id: str
    kudos: float
    message: str | None = None
    warnings: list[RequestSingleWarning] | None = None


class RequestDryRun(BaseModel):
    """What the request would cost."""

    kudos: float
