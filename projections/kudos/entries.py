"""Which events move kudos, whose and how many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from domain.accounts.account import Account
from domain.accounts.kudos import Payer, hundredths
from domain.jobs.job import Job
from domain.requests.request import Request

Entry = tuple[UUID, Mapping[str, int]]
"""A holder, and what is added to figures of its balance, in hundredths."""


def entries_of(event: Any) -> Iterator[Entry]:
    """Yield an entry for each account, and each shared key, whose kudos an event moves."""
    match event:
        case Request.Submitted():
            payer = Payer(event.account_id, event.shared_key_id)
            yield from _paid(payer, burnt=0.0, released=-event.held)
        case Request.JobReturned():
            yield from _paid(event.payer, burnt=event.burnt, released=event.burnt)
        case Request.Ended():
            released = event.burnt + event.refunded
            yield from _paid(event.payer, burnt=event.burnt, released=released)
        case Job.ImageGenerated():
            if event.owner_id is not None and (earned := hundredths(event.kudos)):
                yield event.owner_id, {"earned": earned}
        case Account.KudosAwarded():
            yield event.originator_id, {"awarded": hundredths(event.kudos)}
        case Account.KudosSent():
            yield event.originator_id, {"sent": hundredths(event.kudos)}
            yield event.to, {"received": hundredths(event.kudos)}


def _paid(payer: Payer | None, *, burnt: float, released: float) -> Iterator[Entry]:
    """Yield the burnt and the released part of a hold; a new hold releases less than 0."""
    change = {"burnt": hundredths(burnt), "held": -hundredths(released)}
    if payer is None or not any(change.values()):
        return
    yield payer.account_id, change
    if payer.shared_key_id is not None:
        yield payer.shared_key_id, change
