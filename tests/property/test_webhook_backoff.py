"""Whatever receivers answer: waits grow and are bounded, and every delivery comes to an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.webhooks.attempts import Outcome, Problem, requested_wait
from domain.webhooks.backoff import (
    ONCE,
    PER_ACCOUNT,
    PER_REQUEST,
    AbandonReason,
    Policy,
    decide,
    wait_after,
)
from domain.webhooks.circuit import DEAD_AFTER, LONGEST_PROBE_WAIT, Health, room_for
from domain.webhooks.delivery import DeliveryState, WebhookDelivery
from projections.tracking import notifications

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JITTER = 1.2
"""No wait is longer than this many times what it would be without chance."""

policies = st.sampled_from([ONCE, PER_REQUEST, PER_ACCOUNT])
jitters = st.floats(0, 1, exclude_max=True)
waits = st.none() | st.integers(0, 10**12).map(
    lambda seconds: timedelta(seconds=min(seconds, 10**10))
)
successes = st.integers(200, 299).map(Outcome)
failures = st.one_of(
    st.builds(
        Outcome,
        status=st.integers(100, 599).filter(lambda status: not 200 <= status < 300),
        retry_after=waits,
    ),
    st.builds(Outcome, problem=st.sampled_from(Problem)),
)
lasting_failures = failures.filter(lambda outcome: not outcome.is_gone)
pauses = st.integers(0, 10 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@given(policy=policies, failed=st.integers(1, 10_000), asked=waits, jitter=jitters)
def test_a_wait_is_bounded_and_chance_makes_it_no_shorter(
    policy: Policy, failed: int, asked: timedelta | None, jitter: float
) -> None:
    least = wait_after(policy, failed, 0, asked)
    wait = wait_after(policy, failed, jitter, asked)
    assert policy.first_wait <= least <= policy.longest_wait
    assert least <= wait <= least * JITTER


@given(policy=policies, failed=st.integers(1, 30), asked=waits)
def test_waits_never_shrink_with_failures(
    policy: Policy, failed: int, asked: timedelta | None
) -> None:
    assert wait_after(policy, failed, 0, asked) <= wait_after(policy, failed + 1, 0, asked)


@given(policy=policies, failed=st.integers(1, 30), asked=waits.filter(bool), jitter=jitters)
def test_nobody_is_called_before_the_time_they_asked_for_within_the_limit(
    policy: Policy, failed: int, asked: timedelta, jitter: float
) -> None:
    assert wait_after(policy, failed, jitter, asked) >= min(asked, policy.longest_wait)


@given(outcome=successes | failures, policy=policies, attempts=st.integers(1, 12), jitter=jitters)
def test_exactly_one_thing_follows_from_a_try(
    outcome: Outcome, policy: Policy, attempts: int, jitter: float
) -> None:
    give_up_at = NOW + policy.lifetime
    decision = decide(
        policy, outcome, attempts=attempts, give_up_at=give_up_at, jitter=jitter, now=NOW
    )
    again, given_up = decision.again_at, decision.abandoned
    assert [decision.delivered, again is not None, given_up is not None].count(True) == 1
    assert decision.delivered is outcome.is_success
    if again is not None:
        assert attempts < policy.attempts
        assert NOW < again < give_up_at


@given(
    per_account=st.booleans(),
    outcomes=st.lists(st.tuples(lasting_failures, jitters), min_size=12, max_size=12),
)
def test_a_delivery_that_always_fails_is_tried_as_often_as_it_says_and_then_given_up(
    per_account: bool, outcomes: list[tuple[Outcome, float]]
) -> None:
    delivery = _scheduled(UUID(int=9) if per_account else None)
    now = NOW
    for outcome, jitter in outcomes:
        if delivery.due_at is None:
            break
        assert delivery.due_at >= now
        now = delivery.due_at
        assert now < delivery.give_up_at
        delivery.record_attempt(outcome, seconds=1.0, jitter=jitter, timestamp=now)
    assert delivery.state is DeliveryState.ABANDONED
    last = delivery.pending_events[-1]
    assert isinstance(last, WebhookDelivery.Abandoned)
    if last.reason is AbandonReason.FAILED:
        assert delivery.attempts == delivery.policy.attempts
    else:
        assert last.reason is AbandonReason.LATE
        assert any(outcome.retry_after for outcome, _ in outcomes[: delivery.attempts])


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["try", "late", "resend", "give up"]), successes | failures),
        max_size=25,
    ),
    pause=pauses,
)
def test_whatever_happens_a_delivery_is_due_or_over_and_is_taken_once_for_each_time_it_is_sent(
    steps: list[tuple[str, Outcome]], pause: timedelta
) -> None:
    delivery = _scheduled(UUID(int=9))
    now, resent = NOW, 0
    for step, outcome in steps:
        now += pause
        before = len(delivery.pending_events)
        match step:
            case "try":
                delivery.record_attempt(outcome, seconds=0.1, jitter=0.5, timestamp=now)
            case "late":
                delivery.abandon_if_late(timestamp=now)
            case "give up":
                delivery.abandon(AbandonReason.DISABLED, timestamp=now)
            case _:
                delivery.resend(by=None, timestamp=now)
                resent += len(delivery.pending_events) - before
        assert delivery.is_due is (delivery.due_at is not None)
    happened = delivery.pending_events
    taken = sum(isinstance(event, WebhookDelivery.Delivered) for event in happened)
    assert taken <= 1 + resent
    numbers = [event.number for event in happened if isinstance(event, WebhookDelivery.Attempted)]
    assert numbers == list(range(1, delivery.attempts + 1))


@given(outcomes=st.lists(st.tuples(successes | failures, pauses), max_size=60))
def test_only_an_address_where_all_failed_for_days_is_dead(
    outcomes: list[tuple[Outcome, timedelta]],
) -> None:
    health, now, failed_at = Health(), NOW, list[datetime]()
    for outcome, pause in outcomes:
        now += pause
        health = health.after(outcome, now)
        failed_at = [] if outcome.is_success else [*failed_at, now]
        assert health.failures == len(failed_at)
        silent = bool(failed_at) and failed_at[-1] - failed_at[0] >= DEAD_AFTER
        assert health.is_dead is (silent and len(failed_at) >= 10)
        assert health.proven is outcome.is_success


@given(
    failed=st.integers(0, 10_000),
    proven=st.booleans(),
    on_their_way=st.integers(0, 8),
    since=st.integers(0, 7200).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_an_address_gets_few_at_a_time_and_one_alone_after_a_rest(
    failed: int, proven: bool, on_their_way: int, since: timedelta
) -> None:
    health = Health(failed, NOW, NOW) if failed else Health(proven=proven)
    room = room_for(health, on_their_way, NOW + since)
    assert 0 <= room <= 4
    assert (room > 0) <= (health.earliest_attempt(NOW + since) <= NOW + since)
    if failed < 5:
        assert room == max(0, (4 if health.proven else 2) - on_their_way)
    else:
        assert room + on_their_way <= 1 or room == 0
        assert since < LONGEST_PROBE_WAIT or room == (1 if on_their_way == 0 else 0)


@given(first=st.integers(5, 10_000))
def test_rests_grow_up_to_a_limit(first: int) -> None:
    shorter, longer = (Health(count, NOW, NOW).next_probe_at for count in (first, first + 1))
    assert shorter is not None
    assert longer is not None
    assert NOW < shorter <= longer <= NOW + LONGEST_PROBE_WAIT


@given(
    header=st.text(max_size=80)
    | st.from_regex(r"[A-Za-z]{0,9},? ?[0-9]{0,12} [A-Za-z]{3} [0-9:+\- ]{0,30}[A-Z]{0,4}")
    | st.lists(
        st.sampled_from(["Mon,", "1", "Jan", "2026", "99999", "25:61:00", "+9999999", "-", "GMT"]),
        max_size=8,
    ).map(" ".join)
)
def test_no_header_raises_an_error(header: str) -> None:
    asked = requested_wait(header, NOW)
    assert asked is None or asked >= timedelta(0)


@given(seconds=st.integers(0, 10**8))
def test_seconds_and_the_date_they_lead_to_ask_for_the_same(seconds: int) -> None:
    asked = timedelta(seconds=seconds)
    date = (NOW + asked).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert requested_wait(str(seconds), NOW) == requested_wait(date, NOW) == asked


def _scheduled(endpoint_id: UUID | None) -> WebhookDelivery:
    return WebhookDelivery.schedule(
        account_id=UUID(int=1),
        kind=notifications.IMAGE,
        about=UUID(int=2),
        request_id=UUID(int=3),
        endpoint_id=endpoint_id,
        destination=UUID(int=4),
        happened_at=NOW,
        timestamp=NOW,
    )
