"""Claims: each delivery to one sender, in its turn, where there is room, and never for ever."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from domain.webhooks.backoff import AbandonReason
from infrastructure.webhooks.claims import DELIVERY_CLAIM, Claimed, DeliveryClaims
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
from tests.integration.webhooks.deliveries_hoard import told

__all__ = ["told"]

HERE, ELSEWHERE = address(1), address(2)
MOMENT = timedelta(microseconds=1)


def second_sender(told: DeliveryWorld) -> DeliveryClaims:
    return DeliveryClaims(told.hoard.storage.ledger_database, told.clock)


def claims_of(sender: DeliveryClaims, slots: int = 100) -> list[UUID]:
    return [each.delivery_id for each in sender.claim(slots=slots, lifetime=LIFETIME, unproven=100)]


def count_of_claims(told: DeliveryWorld) -> int:
    with told.hoard.storage.ledger_database.reading() as connection:
        return connection.execute(select(func.count()).select_from(DELIVERY_CLAIM)).scalar_one()


def destinations(claimed: list[Claimed]) -> Counter[UUID]:
    return Counter(each.destination for each in claimed)


def test_a_claim_tells_what_it_is_about(told: DeliveryWorld) -> None:
    endpoint_id = told.endpoint()
    image = told.due(numbered(1), to=HERE)
    test = told.hoard.ledger.webhooks.test_endpoint(endpoint_id, account_id=told.account_id)
    assert set(told.claim()) == {
        Claimed(image, HERE, numbered(1)),
        Claimed(test, endpoint_id, None),
    }


def test_nothing_is_claimed_twice(told: DeliveryWorld) -> None:
    ids = {told.due(numbered(place), to=address(place)) for place in range(4)}
    assert set(told.claimed()) == ids
    assert claims_of(second_sender(told)) == []
    assert told.claimed() == []


def test_a_claim_ends_by_itself(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=HERE)
    assert told.claimed() == [delivery_id]
    told.clock.advance(LIFETIME - MOMENT)
    assert claims_of(second_sender(told)) == []
    told.clock.advance(MOMENT)
    assert claims_of(second_sender(told)) == [delivery_id]
    assert told.claimed() == []


def test_whoever_was_too_slow_does_not_give_back_what_is_somebody_elses(
    told: DeliveryWorld,
) -> None:
    delivery_id = told.due(numbered(1), to=HERE)
    other = second_sender(told)
    assert told.claimed() == [delivery_id]
    told.clock.advance(LIFETIME)
    assert claims_of(other) == [delivery_id]
    told.hoard.sending.claims.release(delivery_id)
    assert told.claimed() == []
    other.release(delivery_id)
    assert told.claimed() == [delivery_id]


def test_what_is_given_back_can_be_claimed_again(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=HERE)
    assert told.claimed() == [delivery_id]
    told.hoard.sending.claims.release(delivery_id)
    told.hoard.sending.claims.release(delivery_id)
    assert told.claimed() == [delivery_id]


def test_claims_that_ended_are_thrown_away_and_others_are_not(told: DeliveryWorld) -> None:
    told.due(numbered(1), to=HERE)
    assert len(told.claimed()) == 1
    told.clock.advance(LIFETIME / 2)
    told.due(numbered(1), to=ELSEWHERE)
    assert len(told.claimed()) == 1
    told.clock.advance(LIFETIME / 2)
    told.hoard.sending.claims.delete_expired()
    assert count_of_claims(told) == 1


def test_only_the_first_of_a_request_can_be_claimed_until_it_is_over(told: DeliveryWorld) -> None:
    first, second, third = (told.due(numbered(1), to=HERE) for _ in range(3))
    assert told.claimed() == [first]
    told.tried(first, BROKEN)
    assert told.claimed() == []
    due_at = told.hoard.ledger.webhooks.delivery(first).due_at
    assert due_at is not None
    told.clock.advance(due_at - told.clock.now())
    assert told.claimed() == [first]
    told.tried(first, GONE)
    assert told.claimed() == [second]
    told.tried(second, TAKEN)
    assert told.claimed() == [third]


def test_a_retry_waits_for_its_time(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=HERE)
    told.tried(delivery_id, SILENT)
    due_at = told.hoard.ledger.webhooks.delivery(delivery_id).due_at
    assert due_at is not None
    told.clock.advance(due_at - told.clock.now() - MOMENT)
    assert told.claimed() == []
    told.clock.advance(MOMENT)
    assert told.claimed() == [delivery_id]


def test_whoever_answers_gets_four_at_once_and_a_newcomer_two(told: DeliveryWorld) -> None:
    told.prove(HERE)
    for place in range(9):
        told.due(numbered(place), to=HERE)
        told.due(numbered(place), to=ELSEWHERE)
    assert destinations(list(told.claim())) == {HERE: 4, ELSEWHERE: 2}
    assert told.claimed() == []


def test_room_is_counted_whoever_takes_it(told: DeliveryWorld) -> None:
    told.prove(HERE)
    for place in range(9):
        told.due(numbered(place), to=HERE)
    first = told.claimed(3)
    assert len(first) == 3
    assert len(claims_of(second_sender(told))) == 1
    told.hoard.sending.claims.release(first[0])
    assert claims_of(second_sender(told)) == [first[0]]


def test_newcomers_together_get_no_more_than_their_share(told: DeliveryWorld) -> None:
    for place in range(40):
        told.due(numbered(place), to=address(place % 20))
    told.prove(HERE)
    assert len(told.claim(slots=30, unproven=6)) == 6 + 2
    assert told.claim(slots=30, unproven=6) == []
    told.due(numbered(50), to=HERE)
    assert [each.destination for each in told.claim(slots=30, unproven=6)] == [HERE]


def test_who_fails_is_a_newcomer_again(told: DeliveryWorld) -> None:
    told.prove(HERE)
    told.tried(told.due(numbered(1), to=HERE), GONE)
    told.due(numbered(2), to=HERE)
    assert told.claim(unproven=0) == []
    assert len(told.claim(unproven=1)) == 1


def test_many_that_hang_keep_nobody_from_those_who_answer(told: DeliveryWorld) -> None:
    """Also when what hangs has waited longer, and there is more of it than there are slots."""
    for place in range(200):
        told.due(numbered(place), to=address(100 + place))
    told.prove(HERE)
    told.clock.advance(timedelta(seconds=3))
    wanted = told.due(numbered(1), to=HERE)
    claimed = told.claimed(slots=4, unproven=2)
    assert wanted in claimed
    assert len(claimed) == 3


def test_a_great_heap_at_one_place_keeps_nobody_waiting(told: DeliveryWorld) -> None:
    """Whoever has the fewest on their way is first, however long the others have waited."""
    for destination in (HERE, ELSEWHERE):
        told.prove(destination)
    for place in range(50):
        told.due(numbered(place), to=HERE)
    assert destinations(list(told.claim(slots=3))) == {HERE: 3}
    told.clock.advance(timedelta(seconds=1))
    late = told.due(numbered(1), to=ELSEWHERE)
    assert told.claimed(slots=1) == [late]


def test_the_places_are_shared_out_one_by_one(told: DeliveryWorld) -> None:
    for place in range(6):
        for destination in (HERE, ELSEWHERE):
            told.due(numbered(place), to=destination)
    assert destinations(list(told.claim(slots=2))) == {HERE: 1, ELSEWHERE: 1}


def test_what_has_waited_longest_goes_first(told: DeliveryWorld) -> None:
    ids = []
    for place in range(4):
        ids.append(told.due(numbered(place), to=HERE if place % 2 else ELSEWHERE))
        told.clock.advance(timedelta(seconds=1))
    assert [told.claimed(slots=1) for _ in ids] == [[each] for each in ids]


def test_an_address_that_rests_is_left_in_peace_and_then_tried_by_one(told: DeliveryWorld) -> None:
    told.wear_out(HERE)
    ids = [told.due(numbered(place), to=HERE) for place in range(3)]
    told.clock.advance(timedelta(seconds=30) - MOMENT)
    assert told.claimed() == []
    told.clock.advance(MOMENT)
    assert told.claimed() == ids[:1]
    assert told.claimed() == []
    told.tried(ids[0], TAKEN)
    assert told.claimed() == ids[1:]


def test_a_test_is_sent_to_an_address_that_rests(told: DeliveryWorld) -> None:
    endpoint_id = told.endpoint()
    told.wear_out(endpoint_id)
    for place in range(20):
        told.due(numbered(place), endpoint=endpoint_id)
    tests = [
        told.hoard.ledger.webhooks.test_endpoint(endpoint_id, account_id=told.account_id)
        for _ in range(2)
    ]
    assert told.claimed() == tests[:1]
    assert told.claimed() == []
    told.tried(tests[0], GONE)
    assert told.claimed() == tests[1:]
    assert told.differences() == ()


def test_what_is_late_can_be_claimed_and_so_given_up(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=HERE)
    told.clock.advance(timedelta(days=1))
    assert told.claimed() == [delivery_id]
    told.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.LATE)
    told.hoard.sending.claims.release(delivery_id)
    assert told.claimed() == []


def test_no_places_no_claims(told: DeliveryWorld) -> None:
    told.due(numbered(1), to=HERE)
    assert told.claim(slots=0) == ()
