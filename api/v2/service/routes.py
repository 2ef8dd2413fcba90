"""The state of the whole: is the server up, how much waits, in which modes it is, what is new."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.http.answer import NOT_KEPT, Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.openapi import error_responses, request_body
from api.v2.service.feature import Service
from api.v2.service.schemas import (
    Heartbeat,
    HordeModes,
    HordePerformance,
    ModifyHordeModes,
    Newspiece,
)
from domain.accounts.directory import AccountEntry
from domain.return_codes import Refused
from domain.service.modes import Modes

router = APIRouter(tags=["horde"], default_response_class=Answer)

_NEWS_KEPT = {"cache-control": "public, max-age=60"}


@router.get("/status/heartbeat", responses={200: {"model": Heartbeat}})
async def heartbeat(feature: Service) -> Answer:
    """Say that the server is up."""
    return Answer({"message": "OK", "version": feature.version}, headers=NOT_KEPT)


@router.get(
    "/status/performance", responses={200: {"model": HordePerformance}, **error_responses()}
)
def performance(feature: Service) -> Answer:
    """Say how much waits, who is there to do it, and what was done within the last minute."""
    present = feature.presence.present()
    minute = feature.statistics.totals().minute
    return Answer(
        {
            "queued_requests": feature.backlog.waiting_images(),
            "queued_text_requests": 0,
            "worker_count": len(present),
            "text_worker_count": 0,
            "thread_count": sum(worker.capabilities.threads for worker in present),
            "text_thread_count": 0,
            "queued_megapixelsteps": round(feature.backlog.waiting_work(), 2),
            "past_minute_megapixelsteps": round(minute.megapixelsteps, 2),
            "queued_forms": 0,
            "interrogator_count": 0,
            "interrogator_thread_count": 0,
            "queued_tokens": 0,
            "past_minute_tokens": 0,
        },
        headers=NOT_KEPT,
    )


@router.get(
    "/status/modes",
    responses={200: {"model": HordeModes}, **error_responses(401)},
)
def modes(feature: Service, apikey: ApiKey = None) -> Answer:
    """Say in which modes the service is; whether in raid mode, to moderators only."""
    account = feature.authentication.account(apikey) if apikey else None
    return Answer(_modes_body(feature.modes.now(), account), headers=NOT_KEPT)


@router.put(
    "/status/modes",
    responses={200: {"model": HordeModes}, **error_responses(400, 401, 403, 423)},
    openapi_extra=request_body(ModifyHordeModes),
)
def change_modes(feature: Service, raw: RawBody, apikey: ApiKey) -> Answer:
    """Change modes: maintenance is for admins, the others are for moderators."""
    account = feature.authentication.account(apikey)
    if not account.roles.may_moderate:
        raise Refused("NotModerator")
    given = read_body(ModifyHordeModes, raw)
    if given.maintenance_mode is not None and not account.roles.admin:
        raise Refused("NotAdmin")
    changed = feature.service_modes.change(
        maintenance=given.maintenance_mode,
        invite_only=given.invite_only_mode,
        raid=given.raid_mode,
        by=account.account_id,
    )
    feature.modes.forget()
    return Answer(_modes_body(changed, account), headers=NOT_KEPT)


@router.get("/status/news", responses={200: {"model": list[Newspiece]}, **error_responses()})
def news(feature: Service) -> Answer:
    """List the operators' news, the latest first."""
    return Answer(
        [
            {
                "date_published": piece.published.isoformat(),
                "newspiece": piece.text,
                "importance": piece.importance,
                "tags": piece.tags,
                "title": piece.title,
                "more_info_urls": piece.more_info_urls,
            }
            for piece in feature.news.latest()
        ],
        headers=_NEWS_KEPT,
    )


def _modes_body(modes: Modes, account: AccountEntry | None) -> dict[str, Any]:
    body = {"maintenance_mode": modes.maintenance, "invite_only_mode": modes.invite_only}
    if account is not None and account.roles.may_moderate:
        body["raid_mode"] = modes.raid
    return body
