"""The events of a request as a stream, for those who keep a connection open."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from api.http.openapi import error_responses
from api.http.parameters import root_of, uuid_from
from api.tracking.stream import QueueState, Stream, StreamResponse
from api.v2.requests.feature import Progress, ProgressFeature
from api.v2.requests.images import image_of
from api.v2.requests.status import check_body
from domain.return_codes import Refused

router = APIRouter(tags=["generate"])

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["queued", "started", "progress", "image", "ended"]},
        "id": {"type": "string", "description": "What to resume with; not there for gauges."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
_POSITION = re.compile("[0-9]{1,18}")
_NO_POSITION = "Last-Event-ID is not the id of an event of this server."


@router.get(
    "/generate/events/{request_id}",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": _EVENT}},
            "description": "The events, as they happen.",
        },
        204: {"description": "The request has ended, and the client knows."},
        **error_responses(400, 404),
    },
)
async def events(
    feature: Progress,
    request: Request,
    request_id: str,
    last_event_id: Annotated[
        str, Header(description="The id of the last event that was seen; those after it come.")
    ] = "",
    last_event_id_asked: Annotated[
        str, Query(alias="last_event_id", description="The same, for clients without headers.")
    ] = "",
) -> Response:
    """Follow a request until it has ended: Server-Sent Events.

    A client that was cut off resumes with the header `Last-Event-ID` and gets each event that has
    an id once, in order. What has no id says how things are at this moment.
    """
    known = uuid_from(request_id)
    if known is None:
        raise Refused("RequestNotFound")
    seen = _position(last_event_id or last_event_id_asked)
    opened = await feature.hub.open(known)
    if opened is None:
        raise Refused("RequestNotFound")
    if seen > opened.final:
        opened.subscription.close()
        raise Refused("BadRequest", _NO_POSITION)
    stream = Stream(
        opened,
        feature.hub,
        seen=seen,
        image_of=image_of(
            feature,
            root_of(feature.public_url, str(request.base_url)),
            known,
            r2=opened.past.submitted.r2,
        ),
        queue_state=partial(_queue_state, feature, known),
    )
    if stream.has_ended:
        stream.subscription.close()
        return Response(status_code=204)
    return StreamResponse(stream)


def _position(text: str) -> int:
    if not text:
        return 0
    if not _POSITION.fullmatch(text):
        raise Refused("BadRequest", _NO_POSITION)
    return int(text)


def _queue_state(feature: ProgressFeature, request_id: UUID) -> QueueState | None:
    status = feature.status.check(request_id)
    if status is None or not status.waiting:
        return None
    body = check_body(status, feature.backlog, feature.available_workers)
    return {name: body[name] for name in ("queue_position", "wait_time")}
