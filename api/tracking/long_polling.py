"""Long polling: answer when the counts of a request change, or when the client's time is over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request

from api.tracking.hub import Hub
from domain.return_codes import Refused
from projections.status.fold import RequestStatus

LONGEST_WAIT_SECONDS = 60

WAITING_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "wait",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS},
        "description": "Seconds to wait for other counts than those that `If-None-Match` names.",
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "With `wait`: the `ETag` of the counts that were seen.",
    },
]
"""The description of what a check takes to wait."""

_SECONDS = re.compile("[0-9]{1,2}")


def wait_from(request: Request) -> int | None:
    """Return for how many seconds a client would wait; None when it would not.

    :raises Refused: ``BadRequest``, when that is no number from 0 to 60.
    """
    given = request.query_params.get("wait")
    if given is None:
        return None
    if not _SECONDS.fullmatch(given) or int(given) > LONGEST_WAIT_SECONDS:
        said = f"Give whole seconds from 0 to {LONGEST_WAIT_SECONDS}."
        raise Refused("BadRequest", errors={"query.wait": said})
    return int(given)


def etag_of(status: RequestStatus) -> str:
    """Return the entity tag of a request's counts; queue position and time to wait do not count."""
    counts = (
        status.finished,
        status.processing,
        status.waiting,
        status.restarted,
        int(status.done),
        int(status.faulted),
    )
    return f'W/"{"-".join(map(str, counts))}"'


def matches(given: str, etag: str) -> bool:
    """Say whether an ``If-None-Match`` names this entity tag."""
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


async def changed_status(
    hub: Hub,
    request_id: UUID,
    *,
    seen: str | None,
    wait: float,
    check: Callable[[], Awaitable[RequestStatus | None]],
) -> RequestStatus | None:
    """Return where a request stands once its counts are others; None when there is no such request.

    A request that is done is no longer waited for.

    :param seen: the ``If-None-Match`` of the client; without it, the first change is waited for.
    :param wait: seconds, after which the answer is what it is.
    :param check: returns where the request stands now.
    """
    until = asyncio.get_running_loop().time() + wait
    status = await check()
    if status is None or status.done or wait <= 0:
        return status
    if seen is not None and not matches(seen, etag_of(status)):
        return status
    opened = await hub.open(request_id)
    if opened is None:
        return None
    subscription, known = opened.subscription, seen or etag_of(status)
    # It waits for updates alone.
    del opened
    try:
        while True:
            # Exact for all that is committed; what is committed after it comes as an update.
            status = await check()
            left = until - asyncio.get_running_loop().time()
            if status is None or status.done or not matches(known, etag_of(status)):
                return status
            if left <= 0 or subscription.is_over:
                return status
            await subscription.updates(left)
    finally:
        subscription.close()
