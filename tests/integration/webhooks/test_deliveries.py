"""What is due at webhooks, in which order, and how addresses answer: as the history says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from domain.accounts.roles import Roles
from domain.webhooks.backoff import PER_REQUEST, AbandonReason
from domain.webhooks.circuit import Health
from domain.webhooks.endpoint import DisableReason
from projections.following.rebuild import rebuild
from projections.tracking import notifications
from projections.webhooks.due.reader import EndpointEntry
from projections.webhooks.due.tables import DUE_DELIVERY, WEBHOOK_DESTINATION
from tests.delivery_world import BROKEN, GONE, TAKEN, DeliveryWorld, address, numbered
from tests.integration.webhooks.deliveries_hoard import told

__all__ = ["told"]

HERE, ELSEWHERE = address(1), address(2)
MINE, OTHER = numbered(1), numbered(2)
MOMENT = timedelta(microseconds=1)


def endpoints(told: DeliveryWorld) -> Sequence[EndpointEntry]:
    return told.hoard.inline.deliveries.endpoints_of([told.account_id]).get(told.account_id, ())


def line(told: DeliveryWorld, destination: UUID = HERE, request_id: UUID = MINE) -> list[UUID]:
    """What is due of a request somewhere, in order; only its first may be a head, and has to."""
    order = told.due_order(destination, request_id)
    assert [is_head for _, is_head in order] == [True, False, False, False][: len(order)]
    return [delivery_id for delivery_id, _ in order]


def test_an_endpoint_is_told_of_with_all_that_schedulers_need(told: DeliveryWorld) -> None:
    before = told.hoard.storage.log.last_position()
    endpoint_id = told.endpoint(notifications.STARTED, notifications.ENDED)
    assert endpoints(told) == [
        EndpointEntry(
            endpoint_id=endpoint_id,
            account_id=told.account_id,
            kinds=(notifications.STARTED, notifications.ENDED),
            disabled=None,
            registered_at_position=told.hoard.storage.log.last_position(),
            created_at=told.clock.now(),
        )
    ]
    assert told.hoard.storage.log.last_position() > before


def test_endpoints_come_as_they_were_registered_and_each_by_its_account(
    told: DeliveryWorld,
) -> None:
    stranger = told.hoard.ledger.accounts.open("stranger", "d" * 64, Roles())
    mine = [told.endpoint() for _ in range(3)]
    theirs = told.hoard.ledger.webhooks.register_endpoint(
        stranger, address="https://stranger.example", kinds=[notifications.IMAGE]
    )
    nobody = UUID(int=7)
    found = told.hoard.inline.deliveries.endpoints_of([stranger, told.account_id, nobody])
    assert {
        account_id: [each.endpoint_id for each in entries] for account_id, entries in found.items()
    } == {told.account_id: mine, stranger: [theirs]}
    count = told.hoard.inline.deliveries.count_of_endpoints
    assert [count(each) for each in (told.account_id, stranger, nobody)] == [3, 1, 0]


def test_an_endpoint_changes_and_goes(told: DeliveryWorld) -> None:
    ledger, account_id = told.hoard.ledger, told.account_id
    endpoint_id = told.endpoint()
    ledger.webhooks.change_endpoint(
        endpoint_id, account_id=account_id, kinds=[notifications.PROGRESS]
    )
    assert endpoints(told)[0].kinds == (notifications.PROGRESS,)
    ledger.webhooks.disable_endpoint(endpoint_id, DisableReason.DEAD)
    assert endpoints(told)[0].disabled is DisableReason.DEAD
    ledger.webhooks.change_endpoint(endpoint_id, account_id=account_id, enabled=True)
    assert endpoints(told)[0].disabled is None
    ledger.webhooks.delete_endpoint(endpoint_id, account_id=account_id)
    assert endpoints(told) == ()
    assert told.hoard.inline.deliveries.count_of_endpoints(account_id) == 0


def test_one_after_the_other_has_its_turn(told: DeliveryWorld) -> None:
    first, second = told.schedule(
        told.planned_delivery(MINE, to=HERE), told.planned_delivery(MINE, to=HERE)
    )
    third = told.due(MINE, to=HERE)
    assert line(told) == [first, second, third]
    told.tried(second, TAKEN)
    assert line(told) == [first, third]
    told.tried(first, BROKEN)
    assert line(told) == [first, third]
    told.hoard.ledger.webhooks.abandon(first, AbandonReason.LATE)
    assert line(told) == [third]
    told.tried(third, TAKEN)
    assert line(told) == []


def test_what_is_sent_again_goes_to_the_end_of_its_line(told: DeliveryWorld) -> None:
    first, second = (told.due(MINE, to=HERE) for _ in range(2))
    told.tried(first, GONE)
    told.clock.advance(PER_REQUEST.lifetime - MOMENT)
    told.hoard.ledger.webhooks.resend(first, by=None)
    assert line(told) == [second, first]
    told.clock.advance(MOMENT)
    assert told.hoard.inline.deliveries.late(told.clock.now(), 10) == [second]


def test_other_requests_and_other_places_do_not_wait(told: DeliveryWorld) -> None:
    endpoint_id = told.endpoint()
    here, elsewhere = told.due(MINE, to=HERE), told.due(MINE, to=ELSEWHERE)
    other, at_endpoint = told.due(OTHER, to=HERE), told.due(MINE, endpoint=endpoint_id)
    test = told.hoard.ledger.webhooks.test_endpoint(endpoint_id, account_id=told.account_id)
    assert set(told.claimed()) == {here, elsewhere, other, at_endpoint, test}


@pytest.mark.parametrize("outcome", [TAKEN, GONE])
def test_what_came_after_it_was_over_changes_nothing(outcome: object, told: DeliveryWorld) -> None:
    first, second = (told.due(MINE, to=HERE) for _ in range(2))
    told.hoard.ledger.webhooks.abandon(first, AbandonReason.DISABLED)
    told.hoard.ledger.webhooks.record_attempt(
        first, TAKEN if outcome is TAKEN else GONE, seconds=1.0, answer=""
    )
    assert told.hoard.inline.deliveries.health(HERE) == Health()
    assert line(told) == [second]
    assert told.differences() == ()


def test_health_is_what_came_of_the_tries(told: DeliveryWorld) -> None:
    health = told.hoard.inline.deliveries.health
    assert health(HERE) == Health()
    first_failed_at = told.clock.now()
    told.wear_out(HERE, 2)
    told.clock.advance(timedelta(seconds=9))
    told.wear_out(HERE, 1)
    told.prove(ELSEWHERE)
    assert health(HERE) == Health(3, first_failed_at, told.clock.now())
    assert health(ELSEWHERE) == Health(proven=True)
    told.prove(HERE)
    assert health(HERE) == Health(proven=True)


def test_an_endpoint_that_is_enabled_starts_anew(told: DeliveryWorld) -> None:
    endpoint_id = told.endpoint()
    told.wear_out(endpoint_id, 12)
    waiting = told.due(MINE, endpoint=endpoint_id)
    assert told.claimed() == []
    told.hoard.ledger.webhooks.disable_endpoint(endpoint_id, DisableReason.DEAD)
    told.hoard.ledger.webhooks.change_endpoint(
        endpoint_id, account_id=told.account_id, enabled=True
    )
    assert told.hoard.inline.deliveries.health(endpoint_id) == Health()
    assert told.claimed() == [waiting]
    assert told.differences() == ()


def test_the_next_look_is_when_something_may_be_sent_next(told: DeliveryWorld) -> None:
    next_look, start = told.hoard.inline.deliveries.next_look, told.clock.now()
    assert next_look(start) is None
    failing, proven = told.due(MINE, to=HERE), told.due(MINE, to=ELSEWHERE)
    assert next_look(start - MOMENT) == start
    assert next_look(start) is None
    told.prove(ELSEWHERE)
    told.tried(failing, BROKEN)
    again_at = told.hoard.ledger.webhooks.delivery(failing).due_at
    assert again_at is not None
    assert next_look(start) == again_at
    assert next_look(start - MOMENT) == start
    told.tried(proven, TAKEN)
    assert next_look(start - MOMENT) == again_at
    told.wear_out(HERE, 7)
    rests_until = told.hoard.inline.deliveries.health(HERE).next_probe_at
    assert next_look(start) == rests_until
    told.hoard.ledger.webhooks.abandon(failing, AbandonReason.FAILED)
    assert next_look(start) is None


def test_what_is_late_is_told_the_longest_overdue_first(told: DeliveryWorld) -> None:
    late = told.hoard.inline.deliveries.late
    first, second = told.due(MINE, to=HERE), told.due(MINE, to=HERE)
    told.clock.advance(timedelta(seconds=1))
    third = told.due(OTHER, to=ELSEWHERE)
    ends_at = told.hoard.ledger.webhooks.delivery(first).give_up_at
    assert late(ends_at - MOMENT, 10) == []
    assert late(ends_at, 10) == [first, second]
    assert late(ends_at + timedelta(seconds=1), 10) == [first, second, third]
    assert late(ends_at + timedelta(seconds=1), 1) == [first]


def test_what_is_scheduled_twice_is_due_once(told: DeliveryWorld) -> None:
    planned_delivery = told.planned_delivery(MINE, to=HERE)
    assert told.hoard.ledger.webhooks.schedule([planned_delivery]) == 1
    assert told.hoard.ledger.webhooks.schedule([planned_delivery]) == 0
    assert line(told) == [planned_delivery.delivery_id]


def test_a_great_save_is_like_many_small_ones(told: DeliveryWorld) -> None:
    planned_deliveries = [
        told.planned_delivery(numbered(place % 40), to=address(place % 7)) for place in range(1200)
    ]
    told.schedule(*planned_deliveries)
    assert told.differences() == ()
    assert len(told.claimed(1000, 1000)) == 14


def test_the_view_holds_and_a_broken_one_is_put_right(told: DeliveryWorld) -> None:
    told.live_through_much()
    assert told.differences() == ()
    database = told.hoard.storage.ledger_database
    with database.transaction() as connection:
        connection.execute(update(DUE_DELIVERY).values(due_at=told.clock.now()))
        connection.execute(update(WEBHOOK_DESTINATION).values(failures=3))
    assert told.differences() != ()
    assert rebuild(told.hoard.inline.deliveries, told.hoard.storage.log, database) > 0
    assert told.differences() == ()
