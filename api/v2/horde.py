"""The state of the whole: is the server up."""

from __future__ import annotations

from fastapi import APIRouter

from api.answer import NOT_KEPT, Answer
from api.context import Provided
from api.v2.schemas.horde import Heartbeat

router = APIRouter(tags=["horde"])


@router.get("/status/heartbeat", response_class=Answer, responses={200: {"model": Heartbeat}})
async def heartbeat(hoard: Provided) -> Answer:
    """Say that the server is up."""
    return Answer({"message": "OK", "version": hoard.services.version}, headers=NOT_KEPT)
