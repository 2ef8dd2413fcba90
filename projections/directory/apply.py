"""How events change the directory."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, delete, insert, update

from domain.accounts.account import Account
from domain.accounts.kudos import hundredths
from domain.accounts.shared_key import KeyLimits, SharedKey
from domain.sealing import Sealed
from domain.workers.worker import Worker
from projections.directory.tables import ACCOUNT, SHARED_KEY, WORKER
from projections.sql.encoding import capabilities_to_json


def apply_changes(connection: Connection, event: Any) -> None:
    """Change the rows of the account, shared key or worker to which this happened."""
    match event:
        case Account.Event():
            _account(connection, event)
        case SharedKey.Event():
            _shared_key(connection, event)
        case Worker.Event():
            _worker(connection, event)


def _account(connection: Connection, event: Any) -> None:
    match event:
        case Account.Opened():
            row = {
                "account_id": event.originator_id,
                "name": event.name,
                "number": event.number,
                "key_digest": event.key_digest,
                **asdict(event.roles),
                "concurrency": None,
                "worker_invited": 0,
                "public_workers": False,
                "deleted": False,
                "opened_at": event.timestamp,
                "contact": _box(event.contact),
                "comment": None,
            }
            connection.execute(insert(ACCOUNT), row)
        case Account.KeyRegenerated():
            _set(connection, ACCOUNT.c.account_id, event, key_digest=event.key_digest)
        case Account.RolesChanged():
            _set(connection, ACCOUNT.c.account_id, event, **asdict(event.roles))
        case Account.Renamed():
            _set(connection, ACCOUNT.c.account_id, event, name=event.name)
        case Account.ContactChanged():
            _set(connection, ACCOUNT.c.account_id, event, contact=_box(event.contact))
        case Account.CommentChanged():
            _set(connection, ACCOUNT.c.account_id, event, comment=_box(event.comment))
        case Account.LimitsChanged():
            limits = {"concurrency": event.concurrency, "worker_invited": event.worker_invited}
            _set(connection, ACCOUNT.c.account_id, event, **limits)
        case Account.WorkersPublished():
            _set(connection, ACCOUNT.c.account_id, event, public_workers=event.public)
        case Account.Deleted():
            _set(connection, ACCOUNT.c.account_id, event, deleted=True)
        case Account.Restored():
            _set(connection, ACCOUNT.c.account_id, event, deleted=False)


def _shared_key(connection: Connection, event: Any) -> None:
    match event:
        case SharedKey.Issued():
            row = {
                "shared_key_id": event.originator_id,
                "owner_id": event.owner_id,
                "name": event.name,
                "key_digest": event.key_digest,
                **_limits(event.limits),
            }
            connection.execute(insert(SHARED_KEY), row)
        case SharedKey.Changed():
            changed = {"name": event.name, **_limits(event.limits)}
            _set(connection, SHARED_KEY.c.shared_key_id, event, **changed)
        case SharedKey.Revoked():
            _drop(connection, SHARED_KEY.c.shared_key_id, event)


def _worker(connection: Connection, event: Any) -> None:
    match event:
        case Worker.Registered():
            row = {
                "worker_id": event.originator_id,
                "name": event.name,
                "owner_id": event.owner_id,
                "kind": event.kind.value,
                "capabilities": capabilities_to_json(event.capabilities),
                "maintenance": False,
                "maintenance_message": "",
                "flagged": False,
                "paused": False,
                "info": "",
            }
            connection.execute(insert(WORKER), row)
        case Worker.CapabilitiesDeclared():
            declared = capabilities_to_json(event.capabilities)
            _set(connection, WORKER.c.worker_id, event, capabilities=declared)
        case Worker.MaintenanceChanged():
            mode = {"maintenance": event.maintenance, "maintenance_message": event.message}
            _set(connection, WORKER.c.worker_id, event, **mode, flagged=False)
        case Worker.FlaggedForMaintenance():
            _set(connection, WORKER.c.worker_id, event, maintenance=True, flagged=True)
        case Worker.PauseChanged():
            _set(connection, WORKER.c.worker_id, event, paused=event.paused)
        case Worker.Renamed():
            _set(connection, WORKER.c.worker_id, event, name=event.name)
        case Worker.InfoChanged():
            _set(connection, WORKER.c.worker_id, event, info=event.info)
        case Worker.Deleted():
            _drop(connection, WORKER.c.worker_id, event)


def _limits(limits: KeyLimits) -> dict[str, object]:
    return {
        "kudos": None if limits.kudos is None else hundredths(limits.kudos),
        "ends_at": limits.ends_at,
        "max_image_pixels": limits.max_image_pixels,
        "max_image_steps": limits.max_image_steps,
    }


def _box(sealed: Sealed | None) -> str | None:
    return None if sealed is None else json.dumps(asdict(sealed), default=str, sort_keys=True)


def unboxed(text: str | None) -> Sealed | None:
    """Return the sealed box that stands in a column."""
    if text is None:
        return None
    fields = json.loads(text)
    return Sealed(subject=UUID(fields["subject"]), box=fields["box"])


def _set(connection: Connection, key: Column[UUID], event: Any, **values: object) -> None:
    connection.execute(update(key.table).where(key == event.originator_id).values(**values))


def _drop(connection: Connection, key: Column[UUID], event: Any) -> None:
    connection.execute(delete(key.table).where(key == event.originator_id))
