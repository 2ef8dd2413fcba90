"""The view of webhooks: every delivery as its own history says it is, found by whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, delete, event, insert, text

from domain.accounts.roles import Roles
from domain.ledger.webhooks import PlannedDelivery
from domain.webhooks.attempts import Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.notification import Notification
from projections.following.rebuild import rebuild, verify
from projections.following.views import ViewFollower
from projections.tracking import notifications
from projections.webhooks.history import reader as webhooks
from projections.webhooks.history.reader import DeliveryRow
from projections.webhooks.history.tables import WEBHOOK_DELIVERY
from tests.delivery_world import BROKEN, GONE, SILENT, TAKEN, DeliveryWorld, address, numbered
from tests.view_world import ViewWorld

EVERYTHING = 1_000
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def told(world: ViewWorld) -> DeliveryWorld:
    return DeliveryWorld(world.hoard, world.clock)


def follow(told: DeliveryWorld, portion: int = 500) -> None:
    for follower in told.hoard.views.followers:
        while follower.catch_up(portion):
            pass


def rows(told: DeliveryWorld, **wanted: Any) -> list[DeliveryRow]:
    follow(told)
    return list(told.hoard.views.webhooks.page(size=EVERYTHING, **wanted))


def row_of(told: DeliveryWorld, delivery_id: UUID) -> DeliveryRow:
    (row,) = [row for row in rows(told) if row.delivery_id == delivery_id]
    return row


def follower_of(told: DeliveryWorld) -> ViewFollower:
    (follower,) = [each for each in told.hoard.views.followers if each.view.name == "webhooks"]
    return follower


def differences(told: DeliveryWorld) -> Sequence[str]:
    report = verify(
        follower_of(told).view, told.hoard.storage.log, told.hoard.storage.view_database
    )
    assert report.rows > 0
    return report.differences


def pass_time(told: DeliveryWorld, seconds: float = 60) -> None:
    told.clock.advance(timedelta(seconds=seconds))


def given_up(told: DeliveryWorld, **wanted: Any) -> list[UUID]:
    follow(told)
    usual: dict[str, Any] = {"since": LONG_AGO, "limit": 100}
    return list(told.hoard.views.webhooks.abandoned_since(**usual | wanted))


def test_every_delivery_is_there_as_its_own_history_has_it(told: DeliveryWorld) -> None:
    told.live_through_much()
    listed = rows(told)
    assert {row.state for row in listed} == set(DeliveryState)
    for row in listed:
        delivery = told.hoard.ledger.webhooks.delivery(row.delivery_id)
        for name in (
            *("account_id", "request_id", "kind", "about", "step", "endpoint_id", "destination"),
            *("state", "happened_at", "due_at", "give_up_at", "attempts"),
        ):
            assert getattr(row, name) == getattr(delivery, name), name
        assert row.scheduled_at == delivery.created_on
    scheduled = [
        record.position
        for record in told.hoard.storage.log.after(0, EVERYTHING)
        if type(record.event).__qualname__ == "WebhookDelivery.Scheduled"
    ]
    assert sorted(row.position for row in listed) == scheduled


def test_what_is_told_of_a_job_has_its_step(told: DeliveryWorld) -> None:
    job_id, now = uuid4(), told.clock.now()
    progress = Notification(notifications.PROGRESS, numbered(1), job_id, now, 17)
    told.schedule(PlannedDelivery(progress, told.account_id, None, address(1)))
    (row,) = rows(told)
    assert (row.kind, row.about, row.step) == (notifications.PROGRESS, job_id, 17)


def test_the_last_try_is_told(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=address(1))
    row = row_of(told, delivery_id)
    untried = (row.attempts, row.last_status, row.last_problem, row.last_attempt_at)
    assert untried == (0, None, None, None)
    assert row.due_at == row.scheduled_at

    pass_time(told)
    told.hoard.ledger.webhooks.record_attempt(delivery_id, SILENT, seconds=2.5)
    row = row_of(told, delivery_id)
    assert (row.state, row.attempts, row.last_seconds) == (DeliveryState.DUE, 1, 2.5)
    assert (row.last_status, row.last_problem) == (None, Problem.TIMED_OUT)
    assert row.last_attempt_at == told.clock.now()
    assert row.due_at is not None
    assert row.due_at > told.clock.now()

    told.hoard.ledger.webhooks.record_attempt(delivery_id, TAKEN, seconds=0.25)
    row = row_of(told, delivery_id)
    assert (row.state, row.attempts, row.due_at) == (DeliveryState.DELIVERED, 2, None)
    assert (row.last_status, row.last_problem, row.last_seconds) == (204, None, 0.25)


def test_what_was_given_up_is_due_again_when_it_is_resent(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=address(1))
    pass_time(told)
    told.hoard.ledger.webhooks.record_attempt(delivery_id, GONE, seconds=0.1)
    row = row_of(told, delivery_id)
    assert (row.state, row.due_at) == (DeliveryState.ABANDONED, None)
    assert (row.given_up_because, row.given_up_at) == (AbandonReason.GONE, told.clock.now())

    pass_time(told)
    told.hoard.ledger.webhooks.resend(delivery_id, by=None)
    again = row_of(told, delivery_id)
    assert (again.state, again.due_at) == (DeliveryState.DUE, told.clock.now())
    assert (again.given_up_because, again.given_up_at) == (None, None)
    assert again.give_up_at > row.give_up_at
    assert again.scheduled_at == row.scheduled_at
    assert (again.attempts, again.last_status) == (1, 410)


def test_a_success_that_comes_too_late_still_counts(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=address(1))
    told.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.LATE)
    assert given_up(told) == [delivery_id]
    told.hoard.ledger.webhooks.record_attempt(delivery_id, TAKEN, seconds=0.1)
    row = row_of(told, delivery_id)
    assert (row.state, row.given_up_because, row.attempts) == (DeliveryState.DELIVERED, None, 1)
    assert given_up(told) == []


def test_pages_begin_with_what_was_scheduled_last(told: DeliveryWorld) -> None:
    made: list[UUID] = []
    for place in range(5):
        made += told.schedule(
            *(told.planned_delivery(numbered(place), to=address(1)) for _ in range(3))
        )
        pass_time(told)
    told.hoard.ledger.webhooks.record_attempt(made[4], TAKEN, seconds=0.1)
    told.hoard.ledger.webhooks.record_attempt(made[9], GONE, seconds=0.1)
    follow(told)
    page = told.hoard.views.webhooks.page
    pages = [[row.delivery_id for row in page(page=number, size=4)] for number in range(1, 6)]
    assert [len(each) for each in pages] == [4, 4, 4, 3, 0]
    assert [each for these in pages for each in these] == made[::-1]
    assert len(page()) == 15


def test_every_filter_keeps_what_it_names_and_all_of_it(told: DeliveryWorld) -> None:
    other = DeliveryWorld.__new__(DeliveryWorld)
    other.__dict__ |= vars(told)
    other.account_id = told.hoard.ledger.accounts.open("another", "f" * 64, Roles())
    told.live_through_much()
    pass_time(told)
    moment = told.clock.now()
    endpoint = other.endpoint()
    for place in range(4):
        for delivery_id in (
            other.due(numbered(place), to=address(place)),
            other.due(numbered(1), endpoint=endpoint),
        ):
            told.hoard.ledger.webhooks.record_attempt(
                delivery_id, (TAKEN, GONE, BROKEN)[place % 3], seconds=0.1
            )
    everything = rows(told)
    accounts = {None, told.account_id, other.account_id}
    seen = 0
    for account_id in accounts:
        for state in (None, *DeliveryState):
            for endpoint_id in (None, *{row.endpoint_id for row in everything}):
                for request_id in (None, numbered(0), numbered(1), numbered(77)):
                    for since in (None, moment):
                        found = told.hoard.views.webhooks.page(
                            account_id=account_id,
                            state=state,
                            endpoint_id=endpoint_id,
                            request_id=request_id,
                            since=since,
                            size=EVERYTHING,
                        )
                        assert list(found) == [
                            row
                            for row in everything
                            if account_id in (None, row.account_id)
                            and state in (None, row.state)
                            and endpoint_id in (None, row.endpoint_id)
                            and request_id in (None, row.request_id)
                            and (since is None or row.scheduled_at >= since)
                        ]
                        seen += bool(found)
    assert seen > 50


def test_what_was_given_up_is_found_from_a_moment_on(
    told: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = told.endpoint()
    scheduled = [told.due(numbered(place), to=address(place)) for place in range(6)]
    at_endpoint = told.due(numbered(1), endpoint=endpoint)
    order = [scheduled[3], at_endpoint, scheduled[0], scheduled[5], scheduled[1]]
    moments = []
    for delivery_id in order:
        pass_time(told)
        told.hoard.ledger.webhooks.record_attempt(delivery_id, GONE, seconds=0.1)
        moments.append(told.clock.now())
    moment = moments[2]
    assert given_up(told) == order
    assert given_up(told, since=moment) == order[2:]
    assert given_up(told, since=moment + timedelta(microseconds=1)) == order[3:]
    assert given_up(told, limit=2) == order[:2]
    assert given_up(told, endpoint_id=endpoint) == [at_endpoint]
    assert given_up(told, account_id=told.account_id) == order
    assert given_up(told, account_id=uuid4()) == []

    monkeypatch.setattr(webhooks, "_PORTION", 2)
    portions = list(
        told.hoard.views.webhooks.all_abandoned_since(moment, account_id=told.account_id)
    )
    assert portions == [order[2:4], order[4:]]
    told.hoard.ledger.webhooks.resend(order[0], by=None)
    assert given_up(told) == order[1:]


def test_what_is_given_up_at_one_moment_is_in_no_two_portions(
    told: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [told.due(numbered(place), to=address(place)) for place in range(7)]
    for delivery_id in ids:
        told.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.FAILED)
    follow(told)
    monkeypatch.setattr(webhooks, "_PORTION", 3)
    portions = told.hoard.views.webhooks.all_abandoned_since(told.clock.now())
    assert [each for portion in portions for each in portion] == ids


@pytest.mark.parametrize("portion", [1, 7, 500])
def test_it_follows_from_the_log_in_whatever_portions(told: DeliveryWorld, portion: int) -> None:
    told.live_through_much()
    follow(told, portion)
    assert differences(told) == ()


def test_a_changed_row_is_found_and_a_rebuild_puts_it_right(told: DeliveryWorld) -> None:
    told.live_through_much()
    before = rows(told)
    with told.hoard.storage.view_database.transaction() as connection:
        gone = WEBHOOK_DELIVERY.c.delivery_id == before[0].delivery_id
        connection.execute(delete(WEBHOOK_DELIVERY).where(gone))
        connection.execute(text("UPDATE webhook_delivery SET attempts = 99 WHERE kind = 'test'"))
    found = differences(told)
    assert any("attempts is 99 and should be" in difference for difference in found)
    assert any(f"{before[0].delivery_id} is missing" in difference for difference in found)
    rebuild(follower_of(told).view, told.hoard.storage.log, told.hoard.storage.view_database)
    assert differences(told) == ()
    assert rows(told) == before


@contextmanager
def plans_of(connection: Connection) -> Iterator[list[str]]:
    """Lend a list to which the database's plan for each query that runs meanwhile is added."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "

    def before(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        cursor.execute(explain + statement, parameters)
        plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", before)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", before)


def fill(connection: Connection, like: DeliveryRow, accounts: Sequence[UUID]) -> None:
    """Put thousands of deliveries of some accounts into the table, most of them delivered."""
    usual = {name: getattr(like, name) for name in DeliveryRow.__dataclass_fields__}
    filled = []
    for number in range(6_000):
        account_id = accounts[number % len(accounts)]
        at = like.scheduled_at + timedelta(seconds=number)
        is_over = number % 40 == 0
        filled.append(
            usual
            | {
                "delivery_id": uuid4(),
                "account_id": account_id,
                "endpoint_id": account_id,
                "request_id": uuid4(),
                "state": DeliveryState.ABANDONED if is_over else DeliveryState.DELIVERED,
                "given_up_at": at if is_over else None,
                "scheduled_at": at,
                "position": number,
            }
        )
    connection.execute(insert(WEBHOOK_DELIVERY), filled)
    connection.exec_driver_sql("ANALYZE webhook_delivery")


def test_no_question_reads_the_whole_table(told: DeliveryWorld) -> None:
    told.due(numbered(1), to=address(1))
    (like,) = rows(told)
    accounts = [uuid4() for _ in range(20)]
    reader, one = told.hoard.views.webhooks, accounts[3]
    with told.hoard.storage.view_database.transaction() as connection:
        fill(connection, like, accounts)
        with plans_of(connection) as plans:
            assert len(reader.page()) == 50
            assert len(reader.page(state=DeliveryState.ABANDONED)) == 50
            assert len(reader.page(account_id=one)) == 50
            assert len(reader.page(account_id=one, state=DeliveryState.DELIVERED)) == 50
            assert len(reader.page(account_id=one, endpoint_id=one)) == 50
            assert len(reader.page(endpoint_id=one, page=2)) == 50
            assert len(reader.page(request_id=like.request_id)) == 1
            reader.abandoned_since(like.scheduled_at, limit=10)
            reader.abandoned_since(like.scheduled_at, account_id=one, limit=10)
    expected = (
        *("by_state", "by_state", "of_account", "of_account", "of_endpoint", "of_endpoint"),
        *("request_id", "given_up", "given_up_of_account"),
    )
    for plan, index in zip(plans, expected, strict=True):
        assert "Seq Scan" not in plan
        assert "SCAN webhook_delivery" not in plan
        assert f"webhook_delivery_{index}" in plan
