"""The models: who offers them, what waits for them, and how long that will take."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query

from api.http.answer import NOT_KEPT, Answer
from api.http.openapi import error_responses
from api.v2.models.feature import Models, ModelsFeature
from api.v2.models.schemas import ActiveModel
from api.v2.workers.available_workers import UNMEASURED_SPEED
from domain.return_codes import Refused
from projections.models.reader import ModelStatus
from projections.models.record import ModelRecord
from projections.models.tables import ANY_MODEL

router = APIRouter(tags=["models"], default_response_class=Answer)

NOBODY_SERVES_IT = 10_000
"""The wait in seconds that stands for never: the v2 API's number."""

_PIXELSTEPS = 1_000_000

Choice = TypeVar("Choice", bound=StrEnum)


class ModelType(StrEnum):
    """What models make."""

    IMAGE = "image"
    TEXT = "text"


class ModelState(StrEnum):
    """Which models are meant."""

    KNOWN = "known"
    """Those of the catalogue."""
    CUSTOM = "custom"
    """Those that the catalogue lacks."""
    ALL = "all"


def _one_of(choices: type[StrEnum]) -> Any:
    return Query(json_schema_extra={"enum": [str(choice) for choice in choices]})


KnownState = Annotated[str, _one_of(ModelState)]
"""A handler's parameter: which models are meant, as the client wrote it."""

Count = Annotated[str | None, Query(json_schema_extra={"type": "integer", "minimum": 0})]


@router.get("/status/models", responses={200: {"model": list[ActiveModel]}, **error_responses(400)})
def models(
    feature: Models,
    type: Annotated[str, _one_of(ModelType)] = ModelType.IMAGE,
    min_count: Count = None,
    max_count: Count = None,
    model_state: KnownState = ModelState.ALL,
) -> Answer:
    """List the models that workers offer or requests wait for, by name.

    ``min_count`` and ``max_count`` bound the threads that offer a model.
    """
    kind = chosen("type", ModelType, type)
    is_meant = is_in_state(feature, chosen("model_state", ModelState, model_state))
    least, most = _whole("min_count", min_count), _whole("max_count", max_count)
    if kind is ModelType.TEXT:
        return Answer([], headers=NOT_KEPT)
    listed = [
        _body(model)
        for model in feature.records.listed()
        if _is_active(model)
        and is_meant(model.name)
        and (least is None or model.workers >= least)
        and (most is None or model.workers <= most)
    ]
    return Answer(listed, headers=NOT_KEPT)


@router.get(
    "/status/models/{model_name:path}",
    responses={200: {"model": list[ActiveModel]}, **error_responses()},
)
def model(feature: Models, model_name: str) -> Answer:
    """Describe one model; the list is empty when nobody offers it, asks for it or knows it."""
    found = [model for model in feature.records.listed() if model.name == model_name]
    known = feature.catalogue.entry(model_name) is not None
    listed = [_body(model) for model in found if _is_active(model) or known]
    if not listed and known:
        listed = [_body(ModelStatus(ModelRecord(model_name)))]
    return Answer(listed, headers=NOT_KEPT)


def chosen(field: str, choices: type[Choice], given: str) -> Choice:
    """Return what was chosen among the values of a parameter.

    :raises Refused: ``BadRequest`` when it is none of them.
    """
    try:
        return choices(given)
    except ValueError:
        known = ", ".join(choices)
        raise Refused(
            "BadRequest", f"{field} is one of: {known}.", {field: f"is none of: {known}"}
        ) from None


def is_in_state(feature: ModelsFeature, state: ModelState) -> Callable[[str], bool]:
    """Return the test whether a model is among those that are meant."""
    catalogue = feature.catalogue
    if state is ModelState.ALL:
        return lambda _: True
    return lambda name: (catalogue.entry(name) is not None) is (state is ModelState.KNOWN)


def _whole(field: str, given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise Refused("BadRequest", f"{field} is a whole number.", {field: "is no whole number"})
    return int(given)


def _is_active(model: ModelStatus) -> bool:
    return model.name != ANY_MODEL and bool(model.workers or model.record.waiting_images)


def _body(model: ModelStatus) -> dict[str, Any]:
    return {
        "name": model.name,
        "count": model.workers,
        "performance": round((model.record.speed or 0.0) * _PIXELSTEPS, 1),
        "queued": float(model.record.waiting_pixelsteps),
        "jobs": float(model.record.waiting_images),
        "eta": _seconds(model),
        "type": ModelType.IMAGE,
    }


def _seconds(model: ModelStatus) -> int:
    work = model.waiting_megapixelsteps
    if not work:
        return 0
    if not model.workers:
        return NOBODY_SERVES_IT
    return int(work / (model.workers * (model.record.speed or UNMEASURED_SPEED)))
