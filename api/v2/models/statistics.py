"""What was made: by time, and by model."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from api.http.answer import Answer
from api.http.openapi import error_responses
from api.v2.models.feature import Models
from api.v2.models.routes import KnownState, ModelState, chosen, is_in_state
from api.v2.models.schemas import ImgModelStats, StatsImgTotals

router = APIRouter(tags=["stats"], default_response_class=Answer)

_KEPT = {"cache-control": "public, max-age=10"}


@router.get("/stats/img/totals", responses={200: {"model": StatsImgTotals}, **error_responses()})
def totals(feature: Models) -> Answer:
    """Count images and their work: the last minute, hour, day, 30 days, and ever."""
    made = feature.statistics.totals()
    periods = {
        "minute": made.minute,
        "hour": made.hour,
        "day": made.day,
        "month": made.month,
        "total": made.total,
    }
    body = {
        period: {"images": each.images, "ps": each.pixelsteps} for period, each in periods.items()
    }
    return Answer(body, headers=_KEPT)


@router.get("/stats/img/models", responses={200: {"model": ImgModelStats}, **error_responses(400)})
def models(feature: Models, model_state: KnownState = ModelState.KNOWN) -> Answer:
    """Count images by model: the last day, 30 days, and ever."""
    is_meant = is_in_state(feature, chosen("model_state", ModelState, model_state))
    made = feature.statistics.by_model()

    def meant(images: Mapping[str, int]) -> dict[str, int]:
        return {name: number for name, number in images.items() if is_meant(name)}

    return Answer(
        {"day": meant(made.day), "month": meant(made.month), "total": meant(made.total)},
        headers=_KEPT,
    )
