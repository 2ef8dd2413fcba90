"""Kinds of fields that several bodies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from domain.images.controlnet import CONTROL_TYPES
from domain.images.post_processing import POST_PROCESSORS
from domain.images.sampling import SAMPLERS
from domain.images.workflows import WORKFLOWS
from projections.tracking.notifications import WEBHOOK_KINDS

_ADDRESS_LENGTHS = (10, 1024)


def _whole(value: Any) -> Any:
    """Take 30.0 for 30, as JSON Schema does: many languages have one kind of number only."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known_sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise PydanticCustomError("UnsupportedSampler", "is none of the known samplers")
    return name


def _one_of(names: frozenset[str], what: str) -> AfterValidator:
    def known(name: str) -> str:
        if name not in names:
            raise PydanticCustomError("not_known", "is none of the known {what}", {"what": what})
        return name

    return AfterValidator(known)


def _two_decimals(value: float) -> float:
    if round(value, 2) != value:
        raise PydanticCustomError("BadCFGDecimals", "has more than two decimals")
    return value


def _of_webhook_length(address: str) -> str:
    least, most = _ADDRESS_LENGTHS
    if not least <= len(address) <= most:
        raise PydanticCustomError(
            "WebhookInvalid",
            "must have {least} to {most} characters",
            {"least": least, "most": most},
        )
    return address


def _enum(names: frozenset[str]) -> dict[str, Any]:
    return {"enum": sorted(names)}


WholeNumber = Annotated[int, BeforeValidator(_whole)]

Side = Annotated[
    WholeNumber,
    Field(ge=64, le=3072, multiple_of=64, description="Pixels, a multiple of 64."),
]

SamplerName = Annotated[
    str, AfterValidator(_known_sampler), Field(json_schema_extra=_enum(SAMPLERS))
]

PostProcessor = Annotated[
    str,
    _one_of(POST_PROCESSORS, "post-processors"),
    Field(json_schema_extra=_enum(POST_PROCESSORS)),
]

ControlType = Annotated[
    str, _one_of(CONTROL_TYPES, "control types"), Field(json_schema_extra=_enum(CONTROL_TYPES))
]

Workflow = Annotated[
    str, _one_of(WORKFLOWS, "workflows"), Field(json_schema_extra=_enum(WORKFLOWS))
]

CfgScale = Annotated[
    float,
    Field(ge=0, le=100, allow_inf_nan=False, description="At most two decimals."),
    AfterValidator(_two_decimals),
]

Strength = Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)]

ModelName = Annotated[str, Field(min_length=1, max_length=255)]

WebhookAddress = Annotated[
    str,
    AfterValidator(_of_webhook_length),
    Field(
        description="A public https address.",
        json_schema_extra={"minLength": _ADDRESS_LENGTHS[0], "maxLength": _ADDRESS_LENGTHS[1]},
    ),
]

# Type checkers cannot compute it.
if TYPE_CHECKING:
    WebhookEvent = str
else:
    WebhookEvent = Literal[WEBHOOK_KINDS]

WebhookEvents = Annotated[
    list[WebhookEvent],
    Field(
        min_length=1,
        max_length=len(WEBHOOK_KINDS),
        description="What is sent there; left out, each image and the end.",
    ),
]
