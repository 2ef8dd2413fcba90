"""One attempt of a delivery: look up what to send, sign it, post it, and record the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from domain.ports import Clock
from domain.sealing import Forgotten, Sealed, Sealer
from domain.service.fetching import FetchFailed, FetchProblem
from domain.webhooks.attempts import Outcome, Problem
from domain.webhooks.backoff import AbandonReason, Decision
from domain.webhooks.circuit import Health
from domain.webhooks.delivery import WebhookDelivery
from domain.webhooks.endpoint import DisableReason, WebhookEndpoint
from projections.tracking.history import RequestHistory
from workers.webhooks.payload import NotificationNotFound, Payloads

_log = structlog.get_logger(__name__)

_PROBLEMS = {
    FetchProblem.ADDRESS_INVALID: Problem.FORBIDDEN,
    FetchProblem.ADDRESS_REFUSED: Problem.FORBIDDEN,
    FetchProblem.NOT_RESOLVED: Problem.NOT_RESOLVED,
    FetchProblem.NOT_TRUSTED: Problem.TLS,
    FetchProblem.UNREACHABLE: Problem.NOT_CONNECTED,
    FetchProblem.TOO_SLOW: Problem.TIMED_OUT,
}
_MOST_REMEMBERED = 10_000


class Ledger(Protocol):
    """The ledger as a sender sees it."""

    def delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Return a delivery."""

    def endpoint(self, endpoint_id: UUID) -> WebhookEndpoint:
        """Return an endpoint, be it disabled or deleted."""

    def record_attempt(
        self, delivery_id: UUID, outcome: Outcome, *, seconds: float, answer: str = ""
    ) -> Decision | None:
        """Record the outcome of an attempt that has just ended."""

    def abandon(self, delivery_id: UUID, reason: AbandonReason) -> None:
        """Make no further attempt of a delivery."""

    def disable_endpoint(self, endpoint_id: UUID, reason: DisableReason) -> None:
        """Send nothing to an endpoint any more."""


class Answer(Protocol):
    """What a receiver said."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def cut(self) -> str:
        """The beginning of the body."""

    @property
    def retry_after(self) -> timedelta | None:
        """How long it asked to wait."""


class Posts(Protocol):
    """Posts bodies to addresses that strangers gave, as far as the guard permits."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
        """Post a body and return the answer.

        :param seconds: for all of it.
        :raises FetchFailed: saying why there is no answer.
        """


class Destinations(Protocol):
    """The view of due deliveries as the sender sees it."""

    def health(self, destination: UUID) -> Health:
        """Return how a destination has answered lately."""


class Signer(Protocol):
    """Signs for accounts."""

    def headers(
        self, account_id: UUID, delivery_id: UUID, attempted_at: datetime, body: bytes
    ) -> dict[str, str]:
        """Return the headers that sign one attempt of a delivery for an account."""


class NotAttempted(Exception):
    """Too much is being sent at this moment; the delivery is due as before."""


class _Abandon(Exception):
    def __init__(self, reason: AbandonReason) -> None:
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Message:
    address: str
    body: bytes


class WebhookSender:
    """Sends deliveries, one at a time in each thread that asks for it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        history_of: Callable[[UUID], RequestHistory | None],
        destinations: Destinations,
        sealer: Sealer,
        payloads: Payloads,
        signer: Signer,
        posts: Posts,
        clock: Clock,
        seconds: float,
    ) -> None:
        """Send what the ledger holds.

        :param history_of: returns the history of a request.
        :param seconds: how long an attempt may take in all.
        """
        self._ledger = ledger
        self._history_of = history_of
        self._destinations = destinations
        self._sealer = sealer
        self._payloads = payloads
        self._signer = signer
        self._posts = posts
        self._clock = clock
        self._seconds = seconds
        self._open_circuits: set[UUID] = set()
        """Destinations whose open circuit has been logged."""

    def send(self, delivery_id: UUID) -> None:
        """Make an attempt of a delivery that is due, or abandon it where that is pointless.

        :raises NotAttempted: when there is no room for one more.
        :raises NotificationNotFound: when the log lacks the event that it is about.
        :raises Refused: when the outcome could not be recorded; it is sent again.
        """
        delivery = self._ledger.delivery(delivery_id)
        if not delivery.is_due:
            return
        try:
            message = self._message(delivery)
        except _Abandon as abandon:
            self._ledger.abandon(delivery.id, abandon.reason)
            return
        began = time.monotonic()
        outcome, answer = self._outcome(delivery, message)
        took = time.monotonic() - began
        self._ledger.record_attempt(delivery.id, outcome, seconds=took, answer=answer)
        self._follow_up(delivery, outcome)

    def _message(self, delivery: WebhookDelivery) -> _Message:
        if self._clock.now() >= delivery.give_up_at:
            raise _Abandon(AbandonReason.LATE)
        history = None
        if delivery.request_id is not None:
            history = self._history_of(delivery.request_id)
            if history is None:
                raise NotificationNotFound
        try:
            address = self._sealer.open(self._sealed_address(delivery, history))
        except Forgotten:
            raise _Abandon(AbandonReason.FORGOTTEN) from None
        return _Message(address, self._payloads.body(delivery, history))

    def _sealed_address(self, delivery: WebhookDelivery, history: RequestHistory | None) -> Sealed:
        if delivery.endpoint_id is not None:
            endpoint = self._ledger.endpoint(delivery.endpoint_id)
            if not endpoint.accepts(delivery.kind):
                raise _Abandon(AbandonReason.DISABLED)
            return endpoint.address
        if history is None or history.submitted.webhook is None:
            raise NotificationNotFound
        return history.submitted.webhook.address

    def _outcome(self, delivery: WebhookDelivery, message: _Message) -> tuple[Outcome, str]:
        headers = self._signer.headers(
            delivery.account_id, delivery.id, self._clock.now(), message.body
        )
        headers["content-type"] = "application/json"
        try:
            answer = self._posts.post(message.address, message.body, headers, seconds=self._seconds)
        except FetchFailed as failed:
            if failed.problem is FetchProblem.BUSY:
                raise NotAttempted from None
            return Outcome(problem=_PROBLEMS.get(failed.problem, Problem.BROKEN_OFF)), ""
        return Outcome(status=answer.status, retry_after=answer.retry_after), answer.cut

    def _follow_up(self, delivery: WebhookDelivery, outcome: Outcome) -> None:
        """Do what follows for the destination, beyond this delivery."""
        if outcome.is_success:
            self._open_circuits.discard(delivery.destination)
            return
        if outcome.is_gone and delivery.endpoint_id is not None:
            self._ledger.disable_endpoint(delivery.endpoint_id, DisableReason.GONE)
            _log.warning("webhook endpoint is gone", endpoint=str(delivery.endpoint_id))
            return
        health = self._destinations.health(delivery.destination)
        if health.is_dead and delivery.endpoint_id is not None:
            self._ledger.disable_endpoint(delivery.endpoint_id, DisableReason.DEAD)
            _log.warning("webhook endpoint is dead", endpoint=str(delivery.endpoint_id))
        elif (until := health.next_probe_at) is not None:
            self._log_open_circuit(delivery.destination, until)

    def _log_open_circuit(self, destination: UUID, until: datetime) -> None:
        """Log once that a circuit is open, and not again until something arrived there."""
        if destination in self._open_circuits:
            return
        if len(self._open_circuits) >= _MOST_REMEMBERED:
            self._open_circuits.clear()
        self._open_circuits.add(destination)
        _log.warning("webhook circuit open", destination=str(destination), until=until.isoformat())
