"""Bodies about workers, and about the messages to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from api.v2.accounts.visibility import Visibility
from api.v2.workers.feature import WorkersFeature
from api.v2.workers.messages import WorkerMessage
from domain.accounts.directory import AccountEntry
from domain.names import handle_of
from domain.sealing import Forgotten
from domain.workers.directory import WorkerEntry
from projections.workers.record import WorkerRecord

_HOUR = timedelta(hours=1)


def worker_body(
    feature: WorkersFeature, worker: WorkerEntry, visibility: Visibility
) -> dict[str, Any]:
    """Return one worker as v2 shows it, limited to what the reader may see."""
    owner = feature.directory.account(worker.owner_id)
    record = feature.records.worker(worker.worker_id)
    body = _body(worker, owner, record, visibility, is_online=worker.worker_id in _online(feature))
    if visibility >= Visibility.OWN:
        messages = feature.messages.for_worker(worker.worker_id)
        body["messages"] = message_bodies(feature, messages)
    if visibility >= Visibility.MODERATOR and owner is not None:
        body["contact"] = _contact(feature, owner)
    return body


def worker_bodies(feature: WorkersFeature, visibility: Visibility) -> list[dict[str, Any]]:
    """Return the workers that are here, by their names."""
    online = _online(feature)
    workers = sorted(feature.directory.workers(online).values(), key=lambda each: each.name)
    owners = feature.directory.accounts_by_ids({each.owner_id for each in workers})
    records = feature.records.records(online)
    return [
        _body(
            each, owners.get(each.owner_id), records.get(each.worker_id), visibility, is_online=True
        )
        for each in workers
    ]


def message_bodies(
    feature: WorkersFeature, messages: Sequence[WorkerMessage]
) -> list[dict[str, Any]]:
    """Return messages as v2 shows them."""
    now = feature.clock.now()
    authors = feature.directory.accounts_by_ids({each.author_id for each in messages})
    return [
        {
            "id": each.message_id,
            **({} if each.worker_id is None else {"worker_id": each.worker_id}),
            "user_id": authors[each.author_id].handle if each.author_id in authors else "",
            "message": each.text,
            "origin": each.origin,
            "expiry": max(0, math.ceil((each.ends_at - now) / _HOUR)),
            "expires_at": each.ends_at,
        }
        for each in messages
    ]


def _online(feature: WorkersFeature) -> set[UUID]:
    return {worker.worker_id for worker in feature.presence.present()}


def _body(
    worker: WorkerEntry,
    owner: AccountEntry | None,
    record: WorkerRecord | None,
    visibility: Visibility,
    *,
    is_online: bool,
) -> dict[str, Any]:
    declared = worker.capabilities
    body: dict[str, Any] = {
        "type": "image",
        "name": worker.name,
        "id": worker.worker_id,
        "online": is_online,
        "requests_fulfilled": record.images if record else 0,
        "kudos_rewards": round(record.kudos, 2) if record else 0.0,
        "kudos_details": {"generated": round(record.kudos, 2) if record else 0.0, "uptime": 0},
        "performance": _performance(record),
        "threads": declared.threads,
        "uptime": round(record.seconds) if record else 0,
        "maintenance_mode": worker.maintenance,
        "info": worker.info or None,
        "nsfw": declared.nsfw,
        "trusted": owner is not None and owner.roles.trusted,
        "flagged": worker.flagged or (owner is not None and owner.roles.flagged),
        "uncompleted_jobs": record.uncompleted_jobs if record else 0,
        "models": declared.models,
        "forms": [],
        "team": {"name": None, "id": None},
        "bridge_agent": declared.bridge_agent,
        "max_pixels": declared.max_pixels,
        "megapixelsteps_generated": round(record.megapixelsteps) if record else 0,
        "img2img": declared.img2img,
        "painting": declared.painting,
        "post-processing": declared.post_processing,
        "lora": declared.lora,
        "controlnet": declared.controlnet,
        "sdxl_controlnet": declared.sdxl_controlnet,
    }
    if owner is not None and (owner.public_workers or visibility >= Visibility.OWN):
        body["owner"] = handle_of(owner.name, owner.number)
    if visibility >= Visibility.OWN:
        body["paused"] = worker.paused
    if visibility >= Visibility.MODERATOR:
        body["suspicious"] = 0
    return body


def _performance(record: WorkerRecord | None) -> str:
    if record is None or record.speed is None:
        return "No requests fulfilled yet"
    return f"{record.speed:.1f} megapixelsteps per second"


def _contact(feature: WorkersFeature, owner: AccountEntry) -> str | None:
    sealed = feature.directory.notes_on(owner.account_id).contact
    try:
        return feature.sealer.open(sealed) if sealed is not None else None
    except Forgotten:
        return None
