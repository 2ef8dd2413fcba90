"""Whatever becomes of deliveries in whatever order: each has its turn, in order, where there is
room; and what is due is at every moment what the history says.

A plain model of lists says what must be due and what may be claimed; the real ledger, on a real
store, must agree after every step.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.webhooks.backoff import AbandonReason
from domain.webhooks.circuit import Health, room_for
from domain.webhooks.endpoint import DisableReason
from infrastructure.settings.environment import load_settings
from projections.following.rebuild import rebuild
from tests.delivery_world import (
    BROKEN,
    GONE,
    LIFETIME,
    SILENT,
    TAKEN,
    DeliveryWorld,
    address,
    numbered,
)
from tests.prepared import assembled
from tests.world import ManualClock, SeededRandomSource

ADDRESSES = (address(1), address(2))
REQUESTS = (numbered(1), numbered(2), numbered(3))
MOMENT = timedelta(microseconds=1)


@dataclass
class ModelDelivery:
    destination: UUID
    request_id: UUID | None
    due_at: datetime | None


class DeliveryHistories(RuleBasedStateMachine):
    """Schedulers, senders that may be killed, integrators, and time."""

    database = "sqlite://"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.deliveries: dict[UUID, ModelDelivery] = {}
        self.lines: dict[tuple[UUID, UUID | None], list[UUID]] = {}
        self.tests: list[UUID] = []
        self.claims: dict[UUID, datetime] = {}
        self.health: dict[UUID, Health] = {}

    @initialize()
    def assemble(self) -> None:
        urls = {"ledger_url": self.database} if self.database else {}
        hoard = assembled(
            load_settings(data=Path(self.folder.name), **urls),
            clock=self.clock,
            random_source=SeededRandomSource(),
        )
        self.world = DeliveryWorld(hoard, self.clock)
        self.endpoint_id = self.world.endpoint()
        self.destinations = (*ADDRESSES, self.endpoint_id)

    @rule(
        what=st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(REQUESTS)), min_size=1, max_size=6
        )
    )
    def schedule(self, what: list[tuple[int, UUID]]) -> None:
        planned_deliveries = [
            (
                self.world.planned_delivery(request_id, to=self.destinations[place])
                if place < 2
                else self.world.planned_delivery(request_id, endpoint=self.endpoint_id)
            )
            for place, request_id in what
        ]
        for planned_delivery, delivery_id in zip(
            planned_deliveries, self.world.schedule(*planned_deliveries), strict=True
        ):
            self._due(
                delivery_id, planned_delivery.destination, planned_delivery.notification.request_id
            )

    @rule()
    def test(self) -> None:
        delivery_id = self.world.hoard.ledger.webhooks.test_endpoint(
            self.endpoint_id, account_id=self.world.account_id
        )
        self._due(delivery_id, self.endpoint_id, None)

    @rule(slots=st.integers(0, 9), unproven=st.integers(0, 6))
    def claim(self, slots: int, unproven: int) -> None:
        now = self.clock.now()
        before = self._live()
        claimable = {each for destination in self.destinations for each in self._free(destination)}
        claimed = self.world.claimed(slots, unproven)
        assert len(claimed) == len(set(claimed)) <= slots
        assert set(claimed) <= claimable - before
        self.claims.update(dict.fromkeys(claimed, now + LIFETIME))
        per_destination = Counter(self.deliveries[each].destination for each in self._live())
        taken = Counter(self.deliveries[each].destination for each in claimed)
        for destination, more in taken.items():
            health = self._health(destination)
            only_tests = all(self.deliveries[each].request_id is None for each in claimed)
            on_their_way = per_destination[destination] - more
            assert more <= room_for(health, on_their_way, now, is_test=only_tests)
        newcomers = [
            each
            for each in self._live()
            if not self._health(self.deliveries[each].destination).proven
        ]
        if any(not self._health(destination).proven for destination in taken):
            assert len(newcomers) <= unproven
        if len(claimed) < slots and len(newcomers) < unproven:
            for destination in self.destinations:
                assert not self._claimable(destination)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from([TAKEN, TAKEN, BROKEN, SILENT, GONE]))
    def end_a_try(self, data: st.DataObject, outcome: object) -> None:
        """Also one whose claim is over, or that was given up meanwhile."""
        delivery_id = data.draw(st.sampled_from(list(self.claims)), "claim")
        was = self.deliveries[delivery_id]
        result = next(each for each in (TAKEN, BROKEN, SILENT, GONE) if each == outcome)
        if was.due_at is not None:
            self.health[was.destination] = self._health(was.destination).after(
                result, self.clock.now()
            )
        self.world.tried(delivery_id, result)
        del self.claims[delivery_id]
        self._is_now(delivery_id)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        delivery_id = data.draw(st.sampled_from(list(self.claims)), "claim")
        self.world.hoard.sending.claims.release(delivery_id)
        del self.claims[delivery_id]

    @precondition(lambda self: self._all_due())
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        delivery_id = data.draw(st.sampled_from(self._all_due()), "delivery")
        self.world.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.DISABLED)
        self._is_now(delivery_id)

    @precondition(lambda self: self._all_over())
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        delivery_id = data.draw(st.sampled_from(self._all_over()), "delivery")
        self.world.hoard.ledger.webhooks.resend(delivery_id, by=None)
        was = self.deliveries[delivery_id]
        self._due(delivery_id, was.destination, was.request_id)

    @rule()
    def give_up_what_is_late(self) -> None:
        now = self.clock.now()
        late = self.world.hoard.inline.deliveries.late(now, 1000)
        ledger = self.world.hoard.ledger
        assert set(late) == {
            each for each in self._all_due() if ledger.webhooks.delivery(each).give_up_at <= now
        }
        for delivery_id in late:
            ledger.webhooks.abandon(delivery_id, AbandonReason.LATE)
            self._is_now(delivery_id)

    @rule()
    def mend_the_endpoint(self) -> None:
        ledger = self.world.hoard.ledger
        ledger.webhooks.disable_endpoint(self.endpoint_id, DisableReason.DEAD)
        ledger.webhooks.change_endpoint(
            self.endpoint_id, account_id=self.world.account_id, enabled=True
        )
        self.health[self.endpoint_id] = Health()

    @rule(seconds=st.sampled_from([0.5, 5, 6, 30, 31, 3600, 90_000]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def forget_claims(self) -> None:
        self.world.hoard.sending.claims.delete_expired()

    @rule()
    def rebuild(self) -> None:
        hoard = self.world.hoard
        rebuild(hoard.inline.deliveries, hoard.storage.log, hoard.storage.ledger_database)

    @invariant()
    def lines_are_in_order_and_have_one_head(self) -> None:
        for (destination, request_id), line in self.lines.items():
            if request_id is not None:
                order = self.world.due_order(destination, request_id)
                assert order == [(each, each == line[0]) for each in line]

    @invariant()
    def health_is_what_came_of_the_tries(self) -> None:
        for destination, health in self.health.items():
            assert self.world.hoard.inline.deliveries.health(destination) == health

    @invariant()
    def the_next_look_is_at_the_earliest_moment_to_come(self) -> None:
        if hasattr(self, "world"):
            now = self.clock.now()
            moments = [self._opens_at(destination) for destination in self.destinations]
            to_come = [at for at in moments if at is not None and at > now]
            found = self.world.hoard.inline.deliveries.next_look(now)
            assert found == min(to_come, default=None)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            assert self.world.differences() == ()
            self._everything_is_settled_in_the_end()
            assert self.world.differences() == ()
            self.world.hoard.close()
        self.folder.cleanup()

    def _everything_is_settled_in_the_end(self) -> None:
        for _ in range(1000):
            if not self._all_due():
                return
            claimed = self.world.claimed(3, 2)
            for delivery_id in claimed:
                self.world.tried(delivery_id, TAKEN)
                self._is_now(delivery_id)
            if not claimed:
                now = self.clock.now()
                claims_end = [until for until in self.claims.values() if until > now]
                look = self.world.hoard.inline.deliveries.next_look(now)
                moments = [*claims_end, *([] if look is None else [look])]
                assert moments, "something is due and nothing is to come"
                self.clock.advance(min(moments) - now)
        raise AssertionError("it does not come to an end")

    def _due(self, delivery_id: UUID, destination: UUID, request_id: UUID | None) -> None:
        now = self.clock.now()
        self.deliveries[delivery_id] = ModelDelivery(destination, request_id, now)
        if request_id is None:
            self.tests.append(delivery_id)
        else:
            self.lines.setdefault((destination, request_id), []).append(delivery_id)

    def _is_now(self, delivery_id: UUID) -> None:
        """Take over what the ledger says of a delivery."""
        delivery = self.world.hoard.ledger.webhooks.delivery(delivery_id)
        model = self.deliveries[delivery_id]
        if not delivery.is_due and model.due_at is not None:
            if model.request_id is None:
                self.tests.remove(delivery_id)
            else:
                self.lines[model.destination, model.request_id].remove(delivery_id)
        model.due_at = delivery.due_at

    def _health(self, destination: UUID) -> Health:
        return self.health.get(destination, Health())

    def _live(self) -> set[UUID]:
        now = self.clock.now()
        return {each for each, until in self.claims.items() if until > now}

    def _heads(self, destination: UUID) -> list[UUID]:
        heads = [
            line[0] for (there, _), line in self.lines.items() if there == destination and line
        ]
        return heads + (self.tests if destination == self.endpoint_id else [])

    def _opens_at(self, destination: UUID) -> datetime | None:
        health = self._health(destination)
        return min(
            (self._head_opens_at(health, each) for each in self._heads(destination)), default=None
        )

    def _head_opens_at(self, health: Health, delivery_id: UUID) -> datetime:
        model = self.deliveries[delivery_id]
        assert model.due_at is not None
        return health.earliest_attempt(model.due_at, is_test=model.request_id is None)

    def _free(self, destination: UUID) -> list[UUID]:
        """What may be sent there as far as its turn, its time and rest go, and nobody has."""
        health, now, live = self._health(destination), self.clock.now(), self._live()
        return [
            each
            for each in self._heads(destination)
            if each not in live and self._head_opens_at(health, each) <= now
        ]

    def _claimable(self, destination: UUID) -> Collection[UUID]:
        """The same, as far as there is room."""
        there = [each for each in self._live() if self.deliveries[each].destination == destination]
        health, now = self._health(destination), self.clock.now()
        return [
            each
            for each in self._free(destination)
            if room_for(health, len(there), now, is_test=self.deliveries[each].request_id is None)
        ]

    def _all_due(self) -> list[UUID]:
        return [each for each, model in self.deliveries.items() if model.due_at is not None]

    def _all_over(self) -> list[UUID]:
        return [each for each, model in self.deliveries.items() if model.due_at is None]


class DeliveryHistoriesInFile(DeliveryHistories):
    """The same on a SQLite file, with the views in a file of their own."""

    database = ""


_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TestDeliveryHistoriesInMemory = DeliveryHistories.TestCase
TestDeliveryHistoriesInMemory.settings = _SETTINGS
TestDeliveryHistoriesInFile = DeliveryHistoriesInFile.TestCase
TestDeliveryHistoriesInFile.settings = settings(_SETTINGS, max_examples=8)
