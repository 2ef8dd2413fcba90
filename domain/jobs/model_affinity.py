"""Work for the model that a worker has in memory comes first, as long as no request starves.

To put another model in place of it takes seconds to a minute, in which the worker makes nothing. So
a request that needs no other model may pass one that does, within limits:

- Who comes first by right is never passed: the request of a preferred account by that of another,
  or a request by another account's of lower priority. An account's own requests may pass each
  other: what it paid for is served either way, and each that it sends has a little less priority
  than the one before.
- No request is passed for long: only while it has waited less than :data:`PATIENCE`, or while the
  worker has had its model less than that. The first spares a swap where the queue is short and
  another worker may come that has the other model; the second makes a swap pay where it is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.jobs.queue import Offer
from domain.workers.matching import Capabilities, model_for

PATIENCE = timedelta(seconds=30)
"""How long a request may be passed, and how long a worker may go on with a model for whose sake it
passes others: about what it takes to load a large one twice."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The model that a worker has in memory."""

    name: str
    since: datetime
    """When the worker first asked for work with it, and with no other since."""


def loaded_model_first(
    offers: Sequence[Offer], worker: Capabilities, loaded: LoadedModel | None, now: datetime
) -> Sequence[Offer]:
    """Return offers in the order in which the worker should take them up.

    :param offers: where there is work for this worker, the best first.
    :param loaded: None where it is not known: the order then stays as it is.
    """
    if loaded is None:
        return offers
    settled = now - loaded.since >= PATIENCE
    ordered: list[Offer] = []
    without_swap: list[bool] = []
    for offer in offers:
        rank = len(ordered)
        needs_no_swap = model_for(worker, offer.models, loaded.name) == loaded.name
        while (
            needs_no_swap
            and rank
            and not without_swap[rank - 1]
            and _is_of_equal_standing(ordered[rank - 1], offer)
            and not (settled and _has_waited(ordered[rank - 1], now))
        ):
            rank -= 1
        ordered.insert(rank, offer)
        without_swap.insert(rank, needs_no_swap)
    return ordered


def _is_of_equal_standing(better: Offer, other: Offer) -> bool:
    if (better.account_id is None) is not (other.account_id is None):
        return False
    return better.priority == other.priority or better.requester_id == other.requester_id


def _has_waited(offer: Offer, now: datetime) -> bool:
    return now - offer.waiting_since >= PATIENCE
