"""Bodies of the routes about requests: asked for, made again, watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.http.bodies import Body
from api.http.fields import (
    CfgScale,
    ControlType,
    ModelName,
    PostProcessor,
    SamplerName,
    Side,
    Strength,
    WebhookAddress,
    WebhookEvents,
    WholeNumber,
    Workflow,
)
from api.v2.requests.unserved_fields import require_served_fields, require_served_params
from domain.images.metadata import MetadataType, MetadataValue
from domain.models.loras import LONGEST_NAME, LONGEST_TRIGGER, STRENGTHS
from domain.requests.warnings import WarningCode


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("twice", "names one of them twice")
    return names


class ReplicationInput(Body):
    """An image that was made before, to be made again as it was."""

    replicate: Annotated[str, Field(description="The id of the image, from its status.")]
    exact: Annotated[
        bool,
        Field(
            description="Run the whole batch again, so that the same bits come out of the same "
            "engine, model and device. Without it only this image is drawn, which is quicker, and "
            "differs from the first one by rounding at most."
        ),
    ] = False
    slow_workers: Annotated[
        bool, Field(description="Refusing them needs kudos up front, and costs 1.2 times as much.")
    ] = True
    trusted_workers: bool = False
    r2: Annotated[bool, Field(description="Answer with addresses of images, not base64.")] = True
    shared: bool = False
    dry_run: Annotated[bool, Field(description="Only say what it would cost.")] = False
    webhook: WebhookAddress | None = None
    webhook_events: WebhookEvents | None = None


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
        int, Field(description="Its position in the queue, from 1; 0 when no image of it waits.")
    ]
    kudos: Annotated[float, Field(description="What it burns when all of it is made.")]
    is_possible: Annotated[bool, Field(description="Whether a worker that is here may serve it.")]


class GenerationMetadataStable(BaseModel):
    """Something to know about one image."""

    type: MetadataType
    value: MetadataValue
    ref: Annotated[
        str | None,
        Field(
            description="Of `batch_index`, the image's index in its batch: with the seed, what"
            " replicates it. Else what the worker says it is about."
        ),
    ] = None


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


MOST_MODELS = 300
MOST_WORKERS = 5
MOST_EXTRA_SOURCE_IMAGES = 5

_LISTED_AT_ALL = 100
"""Longer lists than this are not even read; the rules' own limits are far below."""

_OUT_OF_RANGE = ("greater_than_equal", "less_than_equal", "multiple_of")

AssetName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, description="CivitAI's name or id of a model."),
]
AssetStrength = Annotated[float, Field(ge=STRENGTHS[0], le=STRENGTHS[1], allow_inf_nan=False)]


class ModelPayloadLorasStable(Body):
    """A LoRA."""

    name: AssetName
    model: Annotated[AssetStrength, Field(description="How much it changes the drawing.")] = 1.0
    clip: Annotated[AssetStrength, Field(description="How much it changes the reading.")] = 1.0
    inject_trigger: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_TRIGGER,
            description="The trigger word to put into the prompt; `any` for whichever there is.",
        ),
    ] = None
    is_version: Annotated[
        bool, Field(description="Whether `name` is the id of an exact version, digits only.")
    ] = False


class ModelPayloadTextualInversionsStable(Body):
    """A textual inversion."""

    name: AssetName
    inject_ti: Annotated[
        Literal["prompt", "negprompt"] | None,
        Field(description="Where its word is put; left out, you write it yourself."),
    ] = None
    strength: AssetStrength = 1.0


class ExtraText(Body):
    """A text that a workflow draws."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    reference: Annotated[
        str, Field(min_length=3, max_length=100, description="What the workflow takes it for.")
    ]


class ExtraSourceImage(Body):
    """A further image that a model looks at."""

    image: Annotated[str, Field(min_length=1, description="Base64, or an https address.")]
    strength: Annotated[float, Field(allow_inf_nan=False)] = 1.0


class ModelGenerationInputStable(Body):
    """How the images are to be made."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_dropped(cls, given: Any) -> Any:
        if isinstance(given, dict):
            require_served_params(given)
        return given

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
    steps: Annotated[
        WholeNumber | None,
        Field(
            ge=1,
            le=500,
            description="Left out: 30, or 20 with a control type, which takes at most 40.",
        ),
    ] = None
    n: Annotated[WholeNumber, Field(ge=1, le=20, description="How many images.")] = 1

    post_processing: Annotated[
        list[PostProcessor],
        AfterValidator(_each_once),
        Field(
            default_factory=list,
            max_length=_LISTED_AT_ALL,
            description="What is done to each image, in this order: each once, one upscaler.",
        ),
    ]
    tiling: Annotated[bool, Field(description="Whether the edges fit together.")] = False
    hires_fix: Annotated[bool, Field(description="Draw it small, then again at its full size.")] = (
        False
    )
    loras: Annotated[
        list[ModelPayloadLorasStable],
        Field(default_factory=list, max_length=_LISTED_AT_ALL, description="At most 5."),
    ]
    tis: Annotated[
        list[ModelPayloadTextualInversionsStable],
        Field(default_factory=list, max_length=_LISTED_AT_ALL, description="At most 20."),
    ]
    special: Annotated[
        dict[str, Any] | None,
        Field(description="Of models that are kept for some; none is served here."),
    ] = None
    workflow: Workflow | None = None
    transparent: Annotated[
        bool, Field(description="Leave the background empty: SD 1.5 and SDXL only.")
    ] = False
    control_type: Annotated[
        ControlType | None, Field(description="What a ControlNet takes from the source image.")
    ] = None
    image_is_control: Annotated[
        bool, Field(description="The source image is the control map itself.")
    ] = False
    return_control_map: Annotated[
        bool, Field(description="Answer with the control map instead of an image.")
    ] = False
    extra_texts: Annotated[
        list[ExtraText],
        Field(
            default_factory=list,
            max_length=_LISTED_AT_ALL,
            description="What a workflow needs; for `qr_code` one with that reference.",
        ),
    ]


def usual_params() -> ModelGenerationInputStable:
    """Return what counts when a request says nothing of how its images are to be made."""
    return ModelGenerationInputStable.model_validate({})


class GenerationInputStable(Body):
    """A request for images."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_dropped(cls, given: Any) -> Any:
        if isinstance(given, dict):
            require_served_fields(given)
        return given

    return_codes: ClassVar[Mapping[tuple[str, str], str]] = {
        ("prompt", "missing"): "MissingPrompt",
        ("prompt", "string_too_short"): "MissingPrompt",
        ("params.steps", "less_than_equal"): "TooManySteps",
        ("params.loras", "too_long"): "TooManyLoras",
        ("params.tis", "too_long"): "TooManyTIs",
        ("extra_source_images", "too_long"): "TooManyExtraSourceImages.",
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
    params: Annotated[
        ModelGenerationInputStable,
        Field(default_factory=usual_params),
    ]
    nsfw: bool = False
    trusted_workers: bool = False
    slow_workers: Annotated[
        bool, Field(description="Refusing them needs kudos up front, and costs 1.2 times as much.")
    ] = True
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
        bool,
        Field(description="For want of kudos make it smaller, with fewer steps, not refuse it."),
    ] = False
    censor_nsfw: Annotated[
        bool, Field(description="Whether workers blank images that they take for adult content.")
    ] = False

    source_image: Annotated[
        str | None, Field(min_length=1, description="Base64, or an https address.")
    ] = None
    source_processing: Literal["img2img", "inpainting", "outpainting", "remix", "txt2img"] = (
        "img2img"
    )
    source_mask: Annotated[
        str | None,
        Field(
            min_length=1,
            description="White is drawn anew. Left out, the source image's transparency counts.",
        ),
    ] = None
    extra_source_images: Annotated[
        list[ExtraSourceImage],
        Field(
            default_factory=list,
            max_length=MOST_EXTRA_SOURCE_IMAGES,
            description="For a remix, at most 5.",
        ),
    ]

    proxied_account: Annotated[
        str | None,
        Field(max_length=255, description="Whom a service account asks for, in its own words."),
    ] = None
    webhook: WebhookAddress | None = None
    webhook_events: WebhookEvents | None = None
    style: Annotated[
        str | None,
        Field(min_length=3, max_length=1024, description="Styles are left out: leave it out."),
    ] = None


class RequestSingleWarning(BaseModel):
    """Something that the client may want to change."""

    code: WarningCode
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
