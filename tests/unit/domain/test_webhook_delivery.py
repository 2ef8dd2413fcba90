"""Webhook deliveries: one id for each thing told, tried as often as they may be, then over."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.sealing import Sealed
from domain.webhooks.attempts import Outcome, Problem, requested_wait
from domain.webhooks.backoff import (
    ONCE,
    PER_ACCOUNT,
    PER_REQUEST,
    AbandonReason,
    Decision,
    Policy,
    policy_for,
    wait_after,
)
from domain.webhooks.delivery import DeliveryState, WebhookDelivery, delivery_id_of
from domain.webhooks.notification import TEST, NotificationKind

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT, REQUEST, IMAGE, ENDPOINT, DESTINATION = (UUID(int=number) for number in range(1, 6))
FAILED = Outcome(500)
IMAGE_KIND, ENDED_KIND = NotificationKind("image"), NotificationKind("ended")
KINDS = (IMAGE_KIND, ENDED_KIND, TEST)


def scheduled(
    kind: NotificationKind = IMAGE_KIND, endpoint_id: UUID | None = None
) -> WebhookDelivery:
    return WebhookDelivery.schedule(
        account_id=ACCOUNT,
        kind=kind,
        about=IMAGE,
        request_id=REQUEST,
        endpoint_id=endpoint_id,
        destination=DESTINATION,
        happened_at=NOW - timedelta(seconds=1),
        timestamp=NOW,
    )


def attempt(
    delivery: WebhookDelivery, outcome: Outcome, after: timedelta = timedelta()
) -> Decision | None:
    return delivery.record_attempt(outcome, seconds=0.25, jitter=0, timestamp=NOW + after)


def standing(delivery: WebhookDelivery) -> tuple[DeliveryState, datetime | None]:
    return delivery.state, delivery.due_at


def names(delivery: WebhookDelivery) -> list[str]:
    return [str(vars(type(event))["TOPIC"]).rpartition(".")[2] for event in delivery.pending_events]


def test_the_same_thing_told_at_the_same_place_has_the_same_id_and_nothing_else_has() -> None:
    ids = {
        delivery_id_of(request, kind, about, endpoint_id=endpoint, step=step)
        for request in (REQUEST, None)
        for kind in KINDS
        for about in (IMAGE, REQUEST)
        for endpoint in (None, ENDPOINT)
        for step in (None, 0, 1)
    }
    assert len(ids) == 2 * len(KINDS) * 2 * 2 * 3
    assert (
        scheduled().id
        == scheduled().id
        == delivery_id_of(REQUEST, IMAGE_KIND, IMAGE, endpoint_id=None)
    )


def test_the_id_stays_what_it_was_in_earlier_versions_of_the_program() -> None:
    """Otherwise a receiver would take what it had before an update for something new."""
    assert scheduled().id == UUID("fedcfcad-589e-5360-a4a4-63fb4450a9c5")


@pytest.mark.parametrize(
    ("kind", "endpoint_id", "policy"),
    [
        (IMAGE_KIND, None, PER_REQUEST),
        (ENDED_KIND, None, PER_REQUEST),
        (IMAGE_KIND, ENDPOINT, PER_ACCOUNT),
        (TEST, ENDPOINT, ONCE),
    ],
)
def test_how_often_a_delivery_is_tried(
    kind: NotificationKind, endpoint_id: UUID | None, policy: Policy
) -> None:
    assert policy_for(kind, endpoint_id) is policy
    assert scheduled(kind, endpoint_id).give_up_at == NOW + policy.lifetime


def test_it_is_due_at_once_and_over_when_taken() -> None:
    delivery = scheduled()
    assert standing(delivery) == (DeliveryState.DUE, NOW)
    assert attempt(delivery, Outcome(204)) == Decision(delivered=True)
    assert standing(delivery) == (DeliveryState.DELIVERED, None)
    assert names(delivery) == ["Scheduled", "Attempted", "Delivered"]


def test_a_request_s_own_address_is_tried_three_times() -> None:
    delivery = scheduled()
    seconds = []
    while delivery.due_at is not None:
        seconds.append((delivery.due_at - NOW).total_seconds())
        attempt(delivery, FAILED, delivery.due_at - NOW)
    assert seconds == [0, 5, 35]
    assert names(delivery) == ["Scheduled", *["Attempted"] * 3, "GivenUp"]
    last = delivery.pending_events[-1]
    assert isinstance(last, WebhookDelivery.Abandoned)
    assert (last.reason, last.attempts) == (AbandonReason.FAILED, 3)


def test_the_waits_of_an_account_s_endpoint() -> None:
    waits = [wait_after(PER_ACCOUNT, failed, 0).total_seconds() for failed in range(1, 10)]
    assert waits == [5, 25, 125, 625, 3125, 15625, 36000, 36000, 36000]


@pytest.mark.parametrize("policy", [ONCE, PER_REQUEST, PER_ACCOUNT])
def test_all_tries_fit_in_the_time_there_is_unless_a_receiver_asks_for_more(policy: Policy) -> None:
    waits = [wait_after(policy, failed, 0.999) for failed in range(1, policy.attempts)]
    assert sum(waits, timedelta()) < policy.lifetime


def test_what_was_asked_and_what_went_wrong_is_recorded() -> None:
    delivery = scheduled()
    answer = Sealed(ACCOUNT, "c2VhbGVk")
    outcome = Outcome(503, retry_after=timedelta(minutes=2))
    delivery.record_attempt(outcome, seconds=0.25, answer=answer, jitter=0.5, timestamp=NOW)
    tried = delivery.pending_events[-1]
    assert isinstance(tried, WebhookDelivery.Attempted)
    assert (tried.number, tried.status, tried.problem) == (1, 503, None)
    assert (tried.seconds, tried.answer, tried.retry_after) == (0.25, answer, 120.0)
    assert tried.again_at == delivery.due_at == NOW + timedelta(seconds=132)
    attempt(delivery, Outcome(problem=Problem.TIMED_OUT), timedelta(seconds=132))
    tried = delivery.pending_events[-1]
    assert isinstance(tried, WebhookDelivery.Attempted)
    assert (tried.number, tried.status, tried.problem) == (2, None, Problem.TIMED_OUT)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 304, 307, 400, 404, 429, 500, 599])
def test_all_but_2xx_is_tried_again(status: int) -> None:
    delivery = scheduled()
    attempt(delivery, Outcome(status))
    assert delivery.is_due
    assert delivery.due_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("endpoint_id", [None, ENDPOINT])
def test_a_receiver_that_is_gone_is_not_called_again(endpoint_id: UUID | None) -> None:
    delivery = scheduled(endpoint_id=endpoint_id)
    outcome = Outcome(410, retry_after=timedelta(seconds=1))
    assert outcome.is_gone
    assert attempt(delivery, outcome) == Decision(abandoned=AbandonReason.GONE)
    assert delivery.state is DeliveryState.ABANDONED


def test_a_receiver_that_asks_for_more_time_than_there_is_gets_no_more_tries() -> None:
    delivery = scheduled()
    outcome = Outcome(503, retry_after=timedelta(days=1))
    late = PER_REQUEST.lifetime - timedelta(minutes=5)
    assert attempt(delivery, outcome, late) == Decision(abandoned=AbandonReason.LATE)


def test_what_nobody_could_try_in_time_is_given_up() -> None:
    delivery = scheduled()
    delivery.abandon_if_late(timestamp=delivery.give_up_at - timedelta(microseconds=1))
    assert delivery.is_due
    delivery.abandon_if_late(timestamp=delivery.give_up_at)
    delivery.abandon_if_late(timestamp=delivery.give_up_at)
    last = delivery.pending_events[-1]
    assert isinstance(last, WebhookDelivery.Abandoned)
    assert (last.reason, last.attempts) == (AbandonReason.LATE, 0)
    assert names(delivery) == ["Scheduled", "GivenUp"]


def test_a_second_sender_s_result_changes_nothing_once_it_is_taken() -> None:
    delivery = scheduled()
    attempt(delivery, Outcome(200))
    for outcome in (Outcome(200), FAILED, Outcome(410)):
        assert attempt(delivery, outcome) is None
    assert names(delivery) == ["Scheduled", "Attempted", "Delivered"]


def test_what_was_given_up_while_it_was_on_its_way_counts_if_it_arrived() -> None:
    delivery = scheduled(endpoint_id=ENDPOINT)
    delivery.abandon(AbandonReason.DISABLED, timestamp=NOW)
    assert attempt(delivery, FAILED) is None
    assert standing(delivery) == (DeliveryState.ABANDONED, None)
    assert attempt(delivery, Outcome(200)) == Decision(delivered=True)
    assert standing(delivery) == (DeliveryState.DELIVERED, None)
    assert names(delivery) == ["Scheduled", "GivenUp", "Attempted", "Delivered"]


@pytest.mark.parametrize("outcome", [Outcome(200), Outcome(410)])
def test_what_is_over_can_be_sent_again_under_its_id_with_all_its_tries(outcome: Outcome) -> None:
    delivery = scheduled()
    delivery_id = delivery.id
    attempt(delivery, outcome)
    later = timedelta(days=2)
    delivery.resend(by=ACCOUNT, timestamp=NOW + later)
    assert delivery.id == delivery_id
    assert standing(delivery) == (DeliveryState.DUE, NOW + later)
    assert delivery.give_up_at == NOW + later + PER_REQUEST.lifetime
    while delivery.due_at is not None:
        attempt(delivery, FAILED, delivery.due_at - NOW)
    assert (delivery.attempts, delivery.attempts_since_scheduled) == (4, 3)


def test_what_is_due_anyway_is_not_sent_again() -> None:
    delivery = scheduled()
    delivery.resend(by=None, timestamp=NOW)
    assert names(delivery) == ["Scheduled"]


def test_a_test_is_tried_once() -> None:
    delivery = scheduled(TEST, ENDPOINT)
    assert attempt(delivery, FAILED) == Decision(abandoned=AbandonReason.FAILED)


@pytest.mark.parametrize(
    "facts", [{}, {"status": 200, "problem": Problem.TLS}], ids=["neither", "both"]
)
def test_a_try_ends_with_a_status_or_a_problem(facts: dict[str, int | Problem]) -> None:
    with pytest.raises(ValueError, match="a status or"):
        Outcome(**facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        (" 120 ", 120),
        ("0", 0),
        ("000000000000120", 120),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:59:59 GMT", 0),
        ("Thursday, 01-Jan-26 12:01:30 GMT", 90),
        ("Thu Jan  1 12:01:30 2026", 90),
        ("1" * 65, None),
    ],
)
def test_what_a_retry_after_header_asks_for(header: str | None, seconds: int | None) -> None:
    asked = requested_wait(header, NOW)
    assert asked == (None if seconds is None else timedelta(seconds=seconds))


def test_a_number_beyond_all_times_asks_for_the_longest_wait() -> None:
    asked = requested_wait("9" * 40, NOW)
    assert wait_after(PER_REQUEST, 1, 0, asked) == PER_REQUEST.longest_wait


def test_no_event_holds_an_address_or_an_answer_that_can_be_read() -> None:
    kinds = {
        field.name: str(field.type)
        for event in (WebhookDelivery.Scheduled, WebhookDelivery.Attempted)
        for field in fields(event)
    }
    assert kinds["answer"] == "Sealed | None"
    assert {name for name, kind in kinds.items() if kind.startswith("str")} == {"originator_topic"}
