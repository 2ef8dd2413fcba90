"""Kinds of fields that several bodies share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from domain.sampling import SAMPLERS


def _whole(value: Any) -> Any:
    """Take 30.0 for 30, as JSON Schema does: many languages have one kind of number only."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known_sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise PydanticCustomError("UnsupportedSampler", "is none of the known samplers")
    return name


def _two_decimals(value: float) -> float:
    if round(value, 2) != value:
        raise PydanticCustomError("BadCFGDecimals", "has more than two decimals")
    return value


def _left_empty(value: Any) -> Any:
    if value:
        raise PydanticCustomError("not_served", "is not served yet: leave it out")
    return None


WholeNumber = Annotated[int, BeforeValidator(_whole)]

Side = Annotated[
    WholeNumber,
    Field(ge=64, le=3072, multiple_of=64, description="Pixels, a multiple of 64."),
]

SamplerName = Annotated[
    str, AfterValidator(_known_sampler), Field(json_schema_extra={"enum": sorted(SAMPLERS)})
]

CfgScale = Annotated[
    float,
    Field(ge=0, le=100, allow_inf_nan=False, description="At most two decimals."),
    AfterValidator(_two_decimals),
]

Strength = Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)]

ModelName = Annotated[str, Field(min_length=1, max_length=255)]

Unserved = Annotated[
    Any,
    AfterValidator(_left_empty),
    Field(description="Not served yet: anything but false, empty or null is refused."),
]
"""A field that would change the picture, or who sees it: never dropped in silence."""
