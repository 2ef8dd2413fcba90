"""One webhook delivery with all its attempts, as operators see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from api.v2.webhooks.notices import notice_of
from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from infrastructure.bootstrap import Hoard
from infrastructure.cli.terminal.output import Column, Output, instant
from infrastructure.cli.webhooks.words import address_of, host_of, in_words, opened_text, outcome
from projections.webhooks.history.attempts import DeliveryAttempts, attempt_data

_LONGEST_ANSWER = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a delivery."""

    event: WebhookDelivery.Attempted
    answer: str | None
    """How the answer began; None where it was empty, or where none came."""

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` writes."""
        return attempt_data(self.event, self.answer)


@dataclass(frozen=True, slots=True)
class DeliveryDetails:
    """All that there is to know of a delivery."""

    delivery: WebhookDelivery
    where: str
    """The host that it goes to, or the whole address."""
    attempts: Sequence[Attempt]
    abandoned: WebhookDelivery.Abandoned | None
    """Why no further attempt is made; None where one is, or where it was delivered."""
    notice: str | None
    """What is wrong with where it goes."""

    @classmethod
    def read(cls, hoard: Hoard, delivery: WebhookDelivery, *, whole_address: bool) -> Self:
        """Return what the log and the view of what is due say.

        :param whole_address: whether the address is shown, not its host alone.
        """
        history = DeliveryAttempts.read(hoard.storage.log, delivery)
        attempts = [
            Attempt(event, None if event.answer is None else opened_text(hoard, event.answer))
            for event in history.attempts
        ]
        address = address_of(hoard, delivery)
        disabled = None
        if delivery.endpoint_id is not None:
            disabled = hoard.ledger.webhooks.endpoint(delivery.endpoint_id).disabled
        health = hoard.inline.deliveries.health(delivery.destination)
        return cls(
            delivery=delivery,
            where=address if whole_address else host_of(address),
            attempts=attempts,
            abandoned=history.abandoned,
            notice=notice_of(disabled, health, hoard.clock.now()),
        )

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.delivery.state is DeliveryState.DELIVERED

    def write(self, output: Output) -> None:
        """Write all of it."""
        facts = self._facts()
        output.record({**facts, "attempts": [each.as_json() for each in self.attempts]})
        for name, value in facts.items():
            if value is not None:
                said = instant(value) if hasattr(value, "astimezone") else value
                output.say(f"{name:12} {said}")
        if not self.attempts:
            output.remark("There was no attempt yet.")
            return
        output.table(
            [
                Column("attempt", right=True),
                Column("ended"),
                Column("outcome"),
                Column("seconds", right=True),
                Column("next attempt"),
                Column("the answer began"),
            ],
            [
                (
                    each.event.number,
                    instant(each.event.timestamp),
                    outcome(each.event.status, each.event.problem),
                    f"{each.event.seconds:.2f}",
                    instant(each.event.again_at),
                    (each.answer or "–")[:_LONGEST_ANSWER],
                )
                for each in self.attempts
            ],
        )

    def write_outcome(self, output: Output) -> None:
        """Write the outcome in one line."""
        output.record({**self._facts(), "attempts": [each.as_json() for each in self.attempts]})
        if self.attempts:
            last = self.attempts[-1].event
            said = f"{outcome(last.status, last.problem)} after {last.seconds:.2f} s"
        elif self.abandoned is not None:
            said = f"not sent: {in_words(self.abandoned.reason)}"
        else:
            said = "not sent"
        output.tick(f"{self.where}: {said}", holds=self.is_delivered)
        if self.attempts and (answer := self.attempts[-1].answer):
            output.remark(f"The answer began: {answer[:_LONGEST_ANSWER]!a}")

    def _facts(self) -> dict[str, Any]:
        delivery = self.delivery
        return {
            "delivery_id": delivery.id,
            "account_id": delivery.account_id,
            "kind": delivery.kind,
            "request_id": delivery.request_id,
            "about": delivery.about,
            "step": delivery.step,
            "endpoint_id": delivery.endpoint_id,
            "to": self.where,
            "state": delivery.state,
            "happened_at": delivery.happened_at,
            "scheduled_at": delivery.created_on,
            "due_at": delivery.due_at,
            "give_up_at": delivery.give_up_at if delivery.is_due else None,
            "given_up": None if self.abandoned is None else self.abandoned.reason,
            "notice": self.notice,
        }
