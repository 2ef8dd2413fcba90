"""Webhook deliveries in words: their outcomes, their addresses, and what happens to them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from rich.text import Text

from domain.sealing import Forgotten, Sealed
from domain.webhooks.attempts import Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import WebhookDelivery
from infrastructure.bootstrap import Hoard
from infrastructure.cli.terminal.output import Output, counted, instant, printable
from projections.tracking.history import RequestHistory
from projections.view import RecordedEvent

FORGOTTEN = "(forgotten)"
"""Shown in place of text that is forgotten."""

_MOST_REMEMBERED = 10_000
_COLOURS = {"Delivered": "green", "Abandoned": "red", "Resent": "yellow"}
_SERVED_NAMES = {"Abandoned": "given_up"}
"""What ``--json`` calls an event, where that is not the name of its class."""


def outcome(status: int | None, problem: Problem | None) -> str:
    """Return the outcome of an attempt: a status, a problem in words, or a dash for no attempt."""
    if status is not None:
        return str(status)
    return "–" if problem is None else in_words(problem)


def in_words(value: Problem | AbandonReason) -> str:
    """Return a reason as a person would write it."""
    return value.value.replace("_", " ")


def opened_text(hoard: Hoard, sealed: Sealed) -> str:
    """Return what was sealed, or :data:`FORGOTTEN`."""
    try:
        return hoard.secrets.personal_keys.open(sealed)
    except Forgotten:
        return FORGOTTEN


def host_of(address: str) -> str:
    """Return the host of an address, without what follows it, which may be a secret."""
    if address == FORGOTTEN:
        return address
    try:
        return urlsplit(address).hostname or "–"
    except ValueError:
        return "–"


def address_of(hoard: Hoard, delivery: WebhookDelivery) -> str:
    """Return where a delivery goes, or :data:`FORGOTTEN`."""
    if delivery.endpoint_id is not None:
        return opened_text(hoard, hoard.ledger.webhooks.endpoint(delivery.endpoint_id).address)
    if delivery.request_id is not None:
        history = RequestHistory.read(hoard.storage.log, delivery.request_id)
        if history is not None and history.submitted.webhook is not None:
            return opened_text(hoard, history.submitted.webhook.address)
    return "–"


class DeliveryLines:
    """Writes what happens to deliveries, one event a line."""

    def __init__(self, hoard: Hoard, output: Output) -> None:
        """Write on this output; what later events of a delivery do not say is looked up."""
        self._ledger = hoard.ledger
        self._output = output
        self._known: OrderedDict[UUID, WebhookDelivery] = OrderedDict()

    def write(self, recorded: RecordedEvent) -> None:
        """Write an event of a delivery; any other is left out."""
        event = recorded.event
        if not isinstance(event, WebhookDelivery.Event):
            return
        name = type(event).__name__
        delivery = self._delivery(event.originator_id)
        if self._output.as_json:
            self._output.record(
                {
                    "position": recorded.position,
                    "time": event.timestamp,
                    "event": _SERVED_NAMES.get(name, name.lower()),
                    "delivery_id": delivery.id,
                    "account_id": delivery.account_id,
                    "request_id": delivery.request_id,
                    "endpoint_id": delivery.endpoint_id,
                    "kind": delivery.kind,
                    **_facts(event),
                }
            )
            return
        words = f"{name.lower():<9}  {delivery.kind:<8}  {delivery.id}  {_said(event)}".rstrip()
        if not self._output.on_terminal:
            self._output.say(f"{instant(event.timestamp)}  {printable(words)}")
            return
        moment = event.timestamp.astimezone()
        line = Text.assemble((f"{moment:%H:%M:%S}  ", "dim"), (words, _COLOURS.get(name, "")))
        line.truncate(self._output.out.width, overflow="ellipsis")
        self._output.say(line)

    def _delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Return a delivery, of which only what never changes is as it is now."""
        found = self._known.get(delivery_id)
        if found is None:
            found = self._known[delivery_id] = self._ledger.webhooks.delivery(delivery_id)
        self._known.move_to_end(delivery_id)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return found


def _facts(event: WebhookDelivery.Event) -> dict[str, Any]:
    match event:
        case WebhookDelivery.Attempted():
            return {
                "number": event.number,
                "status": event.status,
                "problem": event.problem,
                "seconds": event.seconds,
                "again_at": event.again_at,
            }
        case WebhookDelivery.Abandoned():
            return {"attempts": event.attempts, "reason": event.reason}
        case WebhookDelivery.Delivered():
            return {"attempts": event.attempts}
        case _:
            return {}


def _said(event: WebhookDelivery.Event) -> str:
    match event:
        case WebhookDelivery.Attempted():
            words = f"attempt {event.number}: {outcome(event.status, event.problem)}"
            words += f" after {event.seconds:.2f} s"
            if event.again_at is not None:
                words += f", again at {event.again_at.astimezone(UTC):%H:%M:%SZ}"
            return words
        case WebhookDelivery.Abandoned():
            return f"{in_words(event.reason)}, after {counted(event.attempts, 'attempt')}"
        case _:
            return ""
