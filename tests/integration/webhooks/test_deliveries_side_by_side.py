"""Deliveries that change in several transactions at once: none is forgotten, none goes too early.

On PostgreSQL: SQLite has one writer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from eventsourcing.persistence import IntegrityError
from sqlalchemy import text

from domain.ledger.webhooks import PlannedDelivery
from domain.webhooks.attempts import Outcome
from domain.webhooks.backoff import AbandonReason
from infrastructure.webhooks.claims import DeliveryClaims
from projections.following.rebuild import rebuild
from tests.delivery_world import BROKEN, GONE, LIFETIME, TAKEN, DeliveryWorld, address, numbered
from tests.integration.storage.event_stores import PATIENCE_SECONDS
from tests.integration.webhooks.deliveries_hoard import open_world
from tests.waiting import wait_until

HERE = address(1)
MINE = numbered(1)

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_TAKE_PLACE = text("SELECT pg_current_xact_id()")
"""Positions in the log are made of this."""


@pytest.fixture
def told(tmp_path: Path, prepared_postgres_url: str) -> Iterator[DeliveryWorld]:
    yield from open_world(tmp_path, prepared_postgres_url)


@contextmanager
def held_open(told: DeliveryWorld, change: Callable[[], object]) -> Iterator[None]:
    """Make a change in a transaction of another thread, which commits at the end of the block."""
    made, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with told.hoard.storage.ledger_database.transaction():
            change()
            made.set()
            assert go_on.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(hold)
        try:
            wait_until(lambda: made.is_set() or held.done(), "the change")
            yield
        finally:
            go_on.set()
        held.result()


def in_turn(
    told: DeliveryWorld, first: Callable[[], object], *others: Callable[[], object]
) -> None:
    """Let other transactions begin while a first one is open, and all commit."""

    def wait() -> bool:
        with told.hoard.storage.ledger_database.reading() as connection:
            waiting: int = connection.execute(_WAITING).scalar_one()
        return waiting + sum(each.done() for each in begun) >= len(begun)

    with ThreadPoolExecutor(len(others)) as threads:
        with held_open(told, first):
            begun = [threads.submit(other) for other in others]
            wait_until(wait, "everybody to wait for a lock, or to go on without")
        for each in begun:
            each.result(PATIENCE_SECONDS)


def wait_for_more_events(told: DeliveryWorld) -> None:
    before = told.hoard.storage.log.last_position()
    wait_until(lambda: told.hoard.storage.log.last_position() > before, "more events")


def schedule(told: DeliveryWorld, *planned_deliveries: PlannedDelivery) -> Callable[[], object]:
    return lambda: told.schedule(*planned_deliveries)


def record(
    told: DeliveryWorld, delivery: PlannedDelivery, outcome: Outcome
) -> Callable[[], object]:
    return lambda: told.hoard.ledger.webhooks.record_attempt(
        delivery.delivery_id, outcome, seconds=0.1
    )


def test_what_is_scheduled_while_the_one_before_it_is_settled_has_its_turn(
    told: DeliveryWorld,
) -> None:
    first, second = told.planned_delivery(MINE, to=HERE), told.planned_delivery(MINE, to=HERE)
    told.schedule(first)
    in_turn(told, record(told, first, TAKEN), schedule(told, second))
    assert told.due_order(HERE, MINE) == [(second.delivery_id, True)]
    assert told.differences() == ()


def test_what_is_scheduled_while_the_one_before_it_is_about_to_be_settled_has_its_turn(
    told: DeliveryWorld,
) -> None:
    first, second = told.planned_delivery(MINE, to=HERE), told.planned_delivery(MINE, to=HERE)
    told.schedule(first)
    in_turn(told, schedule(told, second), record(told, first, TAKEN))
    assert told.due_order(HERE, MINE) == [(second.delivery_id, True)]
    assert told.claimed() == [second.delivery_id]
    assert told.differences() == ()


def test_two_that_are_scheduled_at_once_have_one_head(told: DeliveryWorld) -> None:
    first, second = told.planned_delivery(MINE, to=HERE), told.planned_delivery(MINE, to=HERE)
    in_turn(told, schedule(told, first), schedule(told, second))
    assert [is_head for _, is_head in told.due_order(HERE, MINE)] == [True, False]
    assert told.differences() == ()


def test_what_commits_last_may_be_the_first_in_its_line(told: DeliveryWorld) -> None:
    """Places are positions in the log, which a transaction has before it commits."""
    first, second = told.planned_delivery(MINE, to=HERE), told.planned_delivery(MINE, to=HERE)

    with told.hoard.storage.ledger_database.transaction() as connection:
        connection.execute(_TAKE_PLACE)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(schedule(told, second)).result(PATIENCE_SECONDS)
        told.schedule(first)
    assert told.due_order(HERE, MINE) == [(first.delivery_id, True), (second.delivery_id, False)]
    assert told.claimed() == [first.delivery_id]
    assert told.differences() == ()


def test_saves_that_share_destinations_wait_for_each_other_in_one_order(
    told: DeliveryWorld,
) -> None:
    """Both where the destinations are new and where they were there before."""
    for round_ in range(8):
        places = sorted(address(place + 8 * (round_ // 2)) for place in range(9))
        middle = told.planned_delivery(MINE, to=places[4])
        upwards, downwards = (
            [told.planned_delivery(MINE, to=place) for place in order]
            for order in (places, places[::-1])
        )
        in_turn(told, schedule(told, middle), schedule(told, *upwards), schedule(told, *downwards))
    assert told.differences() == ()


@pytest.mark.parametrize("outcome", [TAKEN, BROKEN])
def test_tries_that_end_at_once_count_in_the_order_of_the_log(
    outcome: Outcome, told: DeliveryWorld
) -> None:
    """The one that has the earlier place and comes later loses, and the ledger tries it again."""
    first, second = (told.planned_delivery(numbered(request), to=HERE) for request in (1, 2))
    told.schedule(first, second)
    ledger = told.hoard.ledger

    def early_place_and_late() -> None:
        with told.hoard.storage.ledger_database.transaction() as connection:
            connection.execute(_TAKE_PLACE)
            with ThreadPoolExecutor(1) as thread:
                thread.submit(record(told, second, GONE)).result(PATIENCE_SECONDS)
            delivery = ledger.webhooks.delivery(first.delivery_id)
            delivery.record_attempt(outcome, seconds=1, jitter=0, timestamp=told.clock.now())
            ledger.save(delivery)

    with pytest.raises(IntegrityError):
        early_place_and_late()
    record(told, first, outcome)()
    assert told.hoard.inline.deliveries.health(HERE).failures == (0 if outcome is TAKEN else 2)
    assert told.differences() == ()


def test_many_senders_and_schedulers_end_with_everything_settled(told: DeliveryWorld) -> None:
    """Whoever claims finds it claimed by nobody else, and in its turn."""
    told.prove(HERE)
    lines = [
        [told.planned_delivery(numbered(request), to=HERE) for _ in range(6)]
        for request in range(8)
    ]
    expected = sum(map(len, lines))
    guard, in_hand, settled = threading.Lock(), set[object](), list[object]()

    def send(claims: DeliveryClaims) -> None:
        while len(settled) < expected:
            for claimed in claims.claim(slots=3, lifetime=LIFETIME, unproven=3):
                key = claimed.request_id
                with guard:
                    assert key not in in_hand
                    in_hand.add(key)
                    assert len(in_hand) <= 4
                told.hoard.ledger.webhooks.record_attempt(claimed.delivery_id, TAKEN, seconds=0.1)
                with guard:
                    settled.append(claimed.delivery_id)
                    in_hand.discard(key)
                claims.release(claimed.delivery_id)

    def schedule_all() -> None:
        for column in zip(*lines, strict=True):
            told.schedule(*column)

    senders = [DeliveryClaims(told.hoard.storage.ledger_database, told.clock) for _ in range(3)]
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(schedule_all), *(threads.submit(send, each) for each in senders)]
        for done in running:
            done.result(PATIENCE_SECONDS)
    assert len(settled) == len(set(settled)) == expected
    for line in lines:
        told_of = [planned_delivery.delivery_id for planned_delivery in line]
        assert [each for each in settled if each in told_of] == told_of
    assert told.differences() == ()


def test_the_view_is_rebuilt_under_its_writers(told: DeliveryWorld) -> None:
    told.live_through_much()
    stop = threading.Event()

    def write(request: int) -> None:
        while not stop.is_set():
            delivery_id = told.due(numbered(request), to=address(request % 2))
            told.hoard.ledger.webhooks.record_attempt(
                delivery_id, TAKEN if request % 2 else BROKEN, seconds=1
            )
            told.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.LATE)

    with ThreadPoolExecutor(3) as threads:
        writing = [threads.submit(write, request) for request in range(3)]
        try:
            for _ in range(3):
                wait_for_more_events(told)
                rebuild(
                    told.hoard.inline.deliveries,
                    told.hoard.storage.log,
                    told.hoard.storage.ledger_database,
                )
        finally:
            stop.set()
        for done in writing:
            done.result(PATIENCE_SECONDS)
    assert told.differences() == ()


def test_a_sender_that_claims_while_another_does_gets_what_is_left(told: DeliveryWorld) -> None:
    told.prove(HERE)
    for request in range(20):
        told.due(numbered(request), to=HERE)
        told.due(numbered(request), to=address(10 + request))
    claimed = list[object]()

    def claim() -> None:
        sender = DeliveryClaims(told.hoard.storage.ledger_database, told.clock)
        claimed.extend(sender.claim(slots=7, lifetime=LIFETIME, unproven=8))

    in_turn(told, claim, claim)
    assert len(claimed) == len(set(claimed)) == 4 + 8
