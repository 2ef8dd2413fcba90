"""How events change the accounts view: requested, made, and the sum of kudos."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table

from domain.accounts.account import ANONYMOUS_ID, Account
from domain.jobs.job import Job
from domain.requests.request import Request
from projections.accounts.tables import ACCOUNT_OPEN_JOB, ACCOUNT_OPEN_REQUEST, ACCOUNT_RECORD
from projections.kudos.entries import entries_of
from projections.sql.bulk import Bulk
from projections.view import NotFollowing, RecordedEvent

_records, _open_requests, _open_jobs = map(
    Bulk, (ACCOUNT_RECORD, ACCOUNT_OPEN_REQUEST, ACCOUNT_OPEN_JOB)
)


_COUNTERS = (
    "requests",
    "images_used",
    "pixelsteps_used",
    "images_made",
    "pixelsteps_made",
    "kudos",
)


_NEW: dict[str, Any] = {"deleted": False} | dict.fromkeys(_COUNTERS, 0)


_GAINS = {"earned": 1, "received": 1, "awarded": 1, "burnt": -1, "sent": -1, "held": 0}
"""What the figures of a balance do to the sum of kudos."""


class AccountsView:
    """Follows the accounts, their requests and the jobs of their workers."""

    name = "accounts"
    tables: Sequence[Table] = (ACCOUNT_RECORD, ACCOUNT_OPEN_REQUEST, ACCOUNT_OPEN_JOB)

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Count these events."""
        batch = _Batch(connection, [record.event for record in records])
        for record in records:
            batch.count(record.event)
        batch.write()


class _Batch:
    """What a portion of the log changes, gathered so that each row is written once."""

    def __init__(self, connection: Connection, events: Sequence[Any]) -> None:
        self._connection = connection
        self._deltas: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
        self._opened: dict[UUID, int] = {}
        self._deleted: dict[UUID, bool] = {}
        self._requests: dict[UUID, UUID] = {}
        self._requests_over: set[UUID] = set()
        self._jobs_over: set[UUID] = set()
        jobs = [event for event in events if isinstance(event, Job.Event)]
        new = {event.originator_id for event in jobs if isinstance(event, Job.Batched)}
        asked = {event.originator_id for event in jobs} - new
        rows = _open_jobs.by_key(connection, asked)
        self._jobs: dict[UUID, dict[str, Any]] = {row["job_id"]: row for row in rows}
        self._stored_jobs = set(self._jobs)

    def count(self, event: Any) -> None:
        """Take an event into account."""
        match event:
            case Account.Event():
                self._account(event)
            case Request.Event():
                self._request(event)
            case Job.Event():
                self._job(event)
        for holder_id, change in entries_of(event):
            gain = sum(_GAINS[figure] * amount for figure, amount in change.items())
            self._deltas[holder_id]["kudos"] += gain

    def write(self) -> None:
        """Write all changes down."""
        connection = self._connection
        self._write_records()
        fresh = [
            {"request_id": request_id, "account_id": account_id}
            for request_id, account_id in self._requests.items()
            if request_id not in self._requests_over
        ]
        _open_requests.insert(connection, fresh)
        _open_requests.delete(connection, self._requests_over - set(self._requests))
        known = self._stored_jobs | self._jobs_over
        jobs = [job for job_id, job in self._jobs.items() if job_id not in known]
        _open_jobs.insert(connection, jobs)
        _open_jobs.delete(connection, self._stored_jobs & self._jobs_over)

    def _account(self, event: Account.Event) -> None:
        match event:
            case Account.Opened():
                self._opened[event.originator_id] = event.number
            case Account.Deleted():
                self._deleted[event.originator_id] = True
            case Account.Restored():
                self._deleted[event.originator_id] = False

    def _request(self, event: Request.Event) -> None:
        match event:
            case Request.Submitted():
                self._deltas[event.account_id]["requests"] += 1
                if event.account_id != ANONYMOUS_ID:
                    self._requests[event.originator_id] = event.account_id
            case Request.Ended():
                self._requests_over.add(event.originator_id)

    def _job(self, event: Job.Event) -> None:
        job_id = event.originator_id
        match event:
            case Job.Batched():
                self._jobs[job_id] = {
                    "job_id": job_id,
                    "account_id": event.account_id,
                    "owner_id": event.owner_id,
                    "pixelsteps": event.pixelsteps,
                }
            case Job.ImageGenerated():
                if job_id not in self._jobs:
                    raise NotFollowing("an image of an unknown job")
                job = self._jobs[job_id]
                work = job["pixelsteps"]
                self._deltas[job["account_id"]].update(images_used=1, pixelsteps_used=work)
                self._deltas[job["owner_id"]].update(images_made=1, pixelsteps_made=work)
            case Job.Ended():
                self._jobs_over.add(job_id)

    def _write_records(self) -> None:
        concerned = self._deltas.keys() | self._deleted.keys() | self._opened.keys()
        known = {row["account_id"]: row for row in _records.by_key(self._connection, concerned)}
        new = {
            account_id: {"account_id": account_id, "number": number} | _NEW
            for account_id, number in self._opened.items()
        }
        if ANONYMOUS_ID in concerned and ANONYMOUS_ID not in known:
            new[ANONYMOUS_ID] = {"account_id": ANONYMOUS_ID, "number": 0} | _NEW
        rows = known | new
        for account_id, delta in self._deltas.items():
            # Shared keys hold kudos too; they are no accounts.
            if account_id in rows:
                for counter, amount in delta.items():
                    rows[account_id][counter] += amount
        for account_id, deleted in self._deleted.items():
            rows[account_id]["deleted"] = deleted
        _records.put(self._connection, rows.values())
