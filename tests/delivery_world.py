"""Deliveries for tests: scheduled, tried and asked after with few words, on a real Hoard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid5

from sqlalchemy import select

from domain.accounts.roles import Roles
from domain.ledger.webhooks import PlannedDelivery
from domain.webhooks.attempts import Outcome, Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.endpoint import DisableReason
from domain.webhooks.notification import Notification, NotificationKind
from infrastructure.bootstrap import Hoard
from infrastructure.webhooks.claims import Claimed
from projections.following.rebuild import verify
from projections.tracking import notifications
from projections.webhooks.due.tables import DUE_DELIVERY
from tests.world import ManualClock

TAKEN, BROKEN = Outcome(status=204), Outcome(status=500)
GONE, SILENT = Outcome(status=410), Outcome(problem=Problem.TIMED_OUT)

LIFETIME = timedelta(seconds=30)
_IDS = UUID("4a3f5a52-5f0b-4c39-9d6f-1f6f7f7d1c11")


def numbered(number: int) -> UUID:
    """Return the id of a request, the same for the same number."""
    return uuid5(_IDS, f"request {number}")


def address(number: int) -> UUID:
    """Return the destination of an address that requests name."""
    return uuid5(_IDS, f"address {number}")


class DeliveryWorld:
    """What happens to deliveries, told to the ledger of a Hoard."""

    def __init__(
        self, hoard: Hoard, clock: ManualClock, *, copy_of: DeliveryWorld | None = None
    ) -> None:
        """Begin on an empty ledger, or go on where another one was when its ledger was copied."""
        self.hoard = hoard
        self.clock = clock
        self.account_id: UUID = (
            copy_of.account_id
            if copy_of
            else hoard.ledger.accounts.open("integrator", "e" * 64, Roles())
        )
        self._told: int = copy_of._told if copy_of else 0

    def endpoint(self, *kinds: NotificationKind) -> UUID:
        """Register an endpoint."""
        return self.hoard.ledger.webhooks.register_endpoint(
            self.account_id,
            address="https://receiver.example/hook",
            kinds=kinds or (notifications.IMAGE, notifications.ENDED),
        )

    def planned_delivery(
        self, request_id: UUID, *, to: UUID | None = None, endpoint: UUID | None = None
    ) -> PlannedDelivery:
        """Return something new to tell of a request, at an address or at an endpoint."""
        destination = to or endpoint
        assert destination is not None
        self._told += 1
        image_id = uuid5(_IDS, f"image {self._told}")
        notification = Notification(notifications.IMAGE, request_id, image_id, self.clock.now())
        return PlannedDelivery(notification, self.account_id, endpoint, destination)

    def schedule(self, *planned_deliveries: PlannedDelivery) -> list[UUID]:
        """Have things told, in one save; return the deliveries' ids."""
        self.hoard.ledger.webhooks.schedule(planned_deliveries)
        return [planned_delivery.delivery_id for planned_delivery in planned_deliveries]

    def due(
        self, request_id: UUID, *, to: UUID | None = None, endpoint: UUID | None = None
    ) -> UUID:
        """Schedule one delivery."""
        return self.schedule(self.planned_delivery(request_id, to=to, endpoint=endpoint))[0]

    def claim(self, slots: int = 100, unproven: int = 100) -> Sequence[Claimed]:
        """Claim what can be had."""
        return self.hoard.sending.claims.claim(slots=slots, lifetime=LIFETIME, unproven=unproven)

    def claimed(self, slots: int = 100, unproven: int = 100) -> list[UUID]:
        """Claim what can be had; return the deliveries' ids."""
        return [each.delivery_id for each in self.claim(slots, unproven)]

    def tried(self, delivery_id: UUID, outcome: Outcome = TAKEN) -> None:
        """Note what came of a try, and give the claim back."""
        self.hoard.ledger.webhooks.record_attempt(delivery_id, outcome, seconds=0.1)
        self.hoard.sending.claims.release(delivery_id)

    def prove(self, destination: UUID) -> None:
        """Let something arrive there."""
        self.tried(self.due(numbered(10**6), to=destination))

    def wear_out(self, destination: UUID, failures: int = 5) -> None:
        """Let so many deliveries fail there for good, in an instant."""
        for _ in range(failures):
            self.tried(self.due(numbered(10**6), to=destination), GONE)

    def live_through_much(self) -> None:
        """Let every kind of thing happen that changes the view of deliveries."""
        ledger = self.hoard.ledger
        first, second, third = (self.endpoint() for _ in range(3))
        ledger.webhooks.change_endpoint(
            second, account_id=self.account_id, kinds=[notifications.STARTED]
        )
        ledger.webhooks.disable_endpoint(second, DisableReason.DEAD)
        ledger.webhooks.delete_endpoint(third, account_id=self.account_id)
        for place in range(12):
            self.due(numbered(place % 3), to=address(place % 2))
            self.due(numbered(place % 2), endpoint=first)
        for outcome in (TAKEN, BROKEN, GONE, SILENT, TAKEN, GONE, GONE):
            for delivery_id in self.claimed(5):
                self.tried(delivery_id, outcome)
            self.clock.advance(timedelta(seconds=3))
        ledger.webhooks.change_endpoint(second, account_id=self.account_id, enabled=True)
        ledger.webhooks.test_endpoint(first, account_id=self.account_id)
        given_up = self.due(numbered(9), to=address(1))
        self.due(numbered(9), to=address(1))
        ledger.webhooks.abandon(given_up, AbandonReason.FAILED)
        ledger.webhooks.resend(given_up, by=None)

    def due_order(self, destination: UUID, request_id: UUID) -> list[tuple[UUID, bool]]:
        """Return what is due of a request somewhere, in order, and what of it is a head."""
        line = (
            select(DUE_DELIVERY.c.delivery_id, DUE_DELIVERY.c.is_head)
            .where(
                DUE_DELIVERY.c.destination == destination, DUE_DELIVERY.c.request_id == request_id
            )
            .order_by(DUE_DELIVERY.c.place)
        )
        with self.hoard.storage.ledger_database.reading() as connection:
            return [(row.delivery_id, row.is_head) for row in connection.execute(line)]

    def differences(self) -> Sequence[str]:
        """Return how what is served differs from what the history says."""
        database = self.hoard.storage.ledger_database
        return verify(self.hoard.inline.deliveries, self.hoard.storage.log, database).differences
