"""Sending webhooks: a real ledger, real posts, and receivers that take, refuse or hang."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from domain.accounts.account import ANONYMOUS_ID
from domain.webhooks.attempts import Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.circuit import DEAD_AFTER, FAILURES_UNTIL_OPEN
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.endpoint import DisableReason
from infrastructure.processes.webhooks import dispatcher_of
from projections.tracking import notifications
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, answer, receiver
from tests.webhook_world import (
    HERE,
    WebhookWorld,
    ids,
    is_signed_by_key,
    is_signed_by_secret,
    schemes,
)
from workers.webhooks.sweeper import sweep_deliveries

SECRET_PATH = "/hook/of-somebody?token=nobody-else"


@pytest.fixture
def world(ledger_url: str | None, tmp_path: Path) -> Iterator[WebhookWorld]:
    """A Hoard on SQLite files, and once more on PostgreSQL."""
    made = WebhookWorld(tmp_path, ledger_url)
    yield made
    made.close()


@pytest.fixture
def lone_world(tmp_path: Path) -> Iterator[WebhookWorld]:
    """A Hoard on SQLite files, for what no database has a part in."""
    made = WebhookWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def plain() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as running:
        yield running


def test_each_image_and_the_end_are_brought_once_in_order_and_signed(
    world: WebhookWorld, secure: Receiver
) -> None:
    world.trust(secure)
    told = world.schedule(world.make(3, address=secure.url(SECRET_PATH, HERE)))
    dispatcher = dispatcher_of(world.hoard)
    dispatcher.start()
    try:
        wait_until(lambda: len(secure.posted) == 4, "four webhooks")
    finally:
        assert dispatcher.stop(60)
    assert ids(secure) == told
    assert [world.delivery(each).state for each in told] == [DeliveryState.DELIVERED] * 4
    bodies = [json.loads(posted.body) for posted in secure.posted]
    assert [body["seed"] for body in bodies[:3]] == ["0", "1", "2"]
    assert bodies[3]["type"] == "request.ended"
    keys = world.hoard.sending.keys
    for posted in secure.posted:
        assert posted.path == SECRET_PATH
        assert posted.headers["content-type"] == "application/json"
        assert schemes(posted) == ["v1", "v1a"]
        assert is_signed_by_secret(posted, keys.secret(world.integrator, 1))
        assert is_signed_by_key(posted, keys.public_key(world.integrator))
        assert not is_signed_by_secret(posted, keys.secret(world.owner_id, 1))
        assert not is_signed_by_key(posted, keys.public_key(world.owner_id))


def test_several_requests_are_brought_by_two_senders_and_nothing_comes_twice(
    world: WebhookWorld, plain: Receiver
) -> None:
    endpoint = world.endpoint(plain.url(host=HERE))
    told = [world.schedule(world.make(2), endpoint) for _ in range(5)]
    dispatchers = [dispatcher_of(world.hoard) for _ in range(2)]
    for dispatcher in dispatchers:
        dispatcher.start()
    try:
        wait_until(lambda: len(plain.posted) == 20, "twenty webhooks")
    finally:
        for dispatcher in dispatchers:
            assert dispatcher.stop(60)
    came = ids(plain)
    for of_one in told:
        assert [each for each in came if each in of_one] == of_one
    assert len(set(came)) == len(came)


def test_after_a_rotation_both_secrets_count_for_a_while(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world = lone_world
    keys, account = world.hoard.sending.keys, world.integrator
    first, second = keys.secret(account, 1), keys.secret(account, 2)
    told = world.schedule(world.make(1, address=plain.url(host=HERE)))
    world.hoard.ledger.webhooks.rotate_secret(account, overlap=timedelta(minutes=1))
    world.sender().send(told[0])
    world.clock.advance(timedelta(minutes=1))
    world.sender().send(told[1])
    during, after = plain.posted
    assert schemes(during) == ["v1", "v1", "v1a"]
    assert is_signed_by_secret(during, first)
    assert is_signed_by_secret(during, second)
    assert not is_signed_by_secret(after, first)
    assert is_signed_by_secret(after, second)


def test_anonymous_has_no_secret_but_a_public_key(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    told = lone_world.schedule(
        lone_world.make(1, address=plain.url(host=HERE), account_id=ANONYMOUS_ID)
    )
    lone_world.sender().send(told[0])
    [posted] = plain.posted
    assert schemes(posted) == ["v1a"]
    assert is_signed_by_key(posted, lone_world.hoard.sending.keys.public_key(ANONYMOUS_ID))


def test_what_failed_comes_again_under_the_same_id_not_before_the_time_that_was_asked_for(
    world: WebhookWorld, plain: Receiver
) -> None:
    plain.reply = lambda handler: answer(handler, 503, b"busy", {"retry-after": "60"})
    told = world.schedule(world.make(1, address=plain.url(host=HERE)))
    world.sender().send(told[0])
    delivery = world.delivery(told[0])
    assert delivery.is_due
    assert delivery.due_at is not None
    assert delivery.due_at >= world.clock.now() + timedelta(seconds=60)
    [tried] = world.tries(told[0])
    assert (tried.status, tried.retry_after) == (503, 60.0)
    assert tried.seconds > 0
    assert tried.answer is not None
    assert world.hoard.secrets.personal_keys.open(tried.answer) == "busy"

    world.clock.advance(timedelta(seconds=75))
    plain.reply = lambda handler: answer(handler, 200)
    dispatcher = dispatcher_of(world.hoard)
    dispatcher.start()
    wait_until(lambda: len(plain.posted) == 3, "the second try, and what waited behind it")
    assert dispatcher.stop(60)
    assert ids(plain) == [told[0], told[0], told[1]]
    assert world.delivery(told[0]).attempts == 2


def test_after_three_tries_a_request_is_told_no_more(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    plain.reply = lambda handler: answer(handler, 500)
    told = lone_world.schedule(lone_world.make(1, address=plain.url(host=HERE)))
    for _ in range(4):
        lone_world.sender().send(told[0])
        lone_world.clock.advance(timedelta(minutes=5))
    assert ids(plain) == [told[0]] * 3
    assert lone_world.why_given_up(told[0]) == "failed"


def test_an_endpoint_that_is_gone_is_disabled_and_hears_nothing_more(
    world: WebhookWorld, plain: Receiver
) -> None:
    plain.reply = lambda handler: answer(handler, 410)
    endpoint = world.endpoint(plain.url(SECRET_PATH, HERE))
    told = world.schedule(world.make(2), endpoint)
    dispatcher = dispatcher_of(world.hoard)
    with capture_logs() as entries:
        dispatcher.start()
        wait_until(lambda: world.why_given_up(told[-1]), "the last to be given up")
        assert dispatcher.stop(60)
    assert ids(plain) == told[:1]
    assert world.hoard.ledger.webhooks.endpoint(endpoint).disabled is DisableReason.GONE
    assert [world.why_given_up(each) for each in told] == ["gone"] + ["disabled"] * 3
    assert [entry["event"] for entry in entries] == ["webhook endpoint is gone"]
    assert "hook/" not in str(entries)


def test_an_address_of_a_request_that_is_gone_is_gone_for_that_delivery(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    plain.reply = lambda handler: answer(handler, 410)
    told = lone_world.schedule(lone_world.make(1, address=plain.url(host=HERE)))
    for each in told:
        lone_world.sender().send(each)
    assert ids(plain) == told
    assert [lone_world.why_given_up(each) for each in told] == ["gone", "gone"]


def test_a_disabled_endpoint_hears_tests_alone_and_a_deleted_one_nothing(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world, ledger = lone_world, lone_world.hoard.ledger
    endpoint = world.endpoint(plain.url(host=HERE))
    [told, *_] = world.schedule(world.make(1), endpoint)
    ledger.webhooks.change_endpoint(endpoint, account_id=world.integrator, enabled=False)
    tests = [ledger.webhooks.test_endpoint(endpoint, account_id=world.integrator) for _ in range(2)]
    world.sender().send(told)
    world.sender().send(tests[0])
    ledger.webhooks.delete_endpoint(endpoint, account_id=world.integrator)
    world.sender().send(tests[1])
    assert ids(plain) == tests[:1]
    assert world.why_given_up(told) == "disabled"
    assert world.why_given_up(tests[1]) == "disabled"
    assert world.delivery(tests[0]).state is DeliveryState.DELIVERED


def test_a_filter_that_changed_later_does_not_undo_what_was_scheduled(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world = lone_world
    endpoint = world.endpoint(plain.url(host=HERE))
    [started, *_] = world.schedule(world.make(1), endpoint)
    world.hoard.ledger.webhooks.change_endpoint(
        endpoint, account_id=world.integrator, kinds=[notifications.ENDED]
    )
    world.sender().send(started)
    assert ids(plain) == [started]


def test_of_a_person_that_was_forgotten_nothing_is_told(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world = lone_world
    told = world.schedule(world.make(1, address=plain.url(host=HERE)))
    endpoint = world.endpoint(plain.url(host=HERE))
    told += world.schedule(world.make(1), endpoint)
    world.hoard.secrets.personal_keys.forget(world.integrator)
    for each in told:
        world.sender().send(each)
    assert plain.posted == []
    assert {world.why_given_up(each) for each in told} == {"forgotten"}


def test_what_is_late_is_given_up_unsent(world: WebhookWorld, plain: Receiver) -> None:
    hoard = world.hoard
    told = world.schedule(world.make(1, address=plain.url(host=HERE)))
    assert (
        sweep_deliveries(
            hoard.inline.deliveries, hoard.sending.claims, hoard.ledger.webhooks, world.clock.now()
        )
        == 0
    )
    world.clock.advance(timedelta(hours=1))
    world.sender().send(told[0])
    assert world.why_given_up(told[0]) == "late"
    assert (
        sweep_deliveries(
            hoard.inline.deliveries, hoard.sending.claims, hoard.ledger.webhooks, world.clock.now()
        )
        == 1
    )
    assert world.why_given_up(told[1]) == "late"
    assert plain.posted == []


def test_what_was_sent_again_by_hand_meanwhile_is_not_late(lone_world: WebhookWorld) -> None:
    hoard, ledger = lone_world.hoard, lone_world.hoard.ledger
    told = lone_world.schedule(lone_world.make(1, address=f"http://{HERE}/"))
    lone_world.clock.advance(timedelta(hours=1))

    class Meanwhile:
        """The view, asked a moment before all of this happens."""

        def late(self, now: datetime, limit: int) -> Sequence[UUID]:
            found = hoard.inline.deliveries.late(now, limit)
            ledger.webhooks.abandon(told[0], AbandonReason.LATE)
            ledger.webhooks.resend(told[0], by=None)
            return [uuid4(), *found]

    assert (
        sweep_deliveries(Meanwhile(), hoard.sending.claims, ledger.webhooks, lone_world.clock.now())
        == 1
    )
    assert [lone_world.delivery(each).is_due for each in told] == [True, False]


def test_a_place_that_is_not_public_is_not_called(tmp_path: Path, plain: Receiver) -> None:
    world = WebhookWorld(tmp_path, permit_networks="")
    told = world.schedule(world.make(1, address=f"https://{HERE}:{plain.port}/"))
    world.sender().send(told[0])
    [tried] = world.tries(told[0])
    assert (tried.status, tried.problem) == (None, Problem.FORBIDDEN)
    assert world.delivery(told[0]).is_due
    assert plain.posted == []
    world.close()


def test_nobody_there_and_silence_are_told_apart(tmp_path: Path, plain: Receiver) -> None:
    world = WebhookWorld(tmp_path, webhook_seconds=1)
    plain.reply = lambda _: plain.ending.wait()
    with socket.socket() as nobody:
        nobody.bind((HERE, 0))
        addresses = [plain.url(host=HERE), f"http://{HERE}:{nobody.getsockname()[1]}/"]
        told = [world.schedule(world.make(1, address=address))[0] for address in addresses]
        for each in told:
            world.sender().send(each)
    problems = [tried.problem for each in told for tried in world.tries(each)]
    assert problems == [Problem.TIMED_OUT, Problem.NOT_CONNECTED]
    world.close()


def test_an_address_that_rests_is_said_to_once_and_never_named(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world, sender = lone_world, lone_world.sender()
    plain.reply = lambda handler: answer(handler, 500, b"no-such-tenant")

    def fail(times: int) -> None:
        for _ in range(times):
            sender.send(world.schedule(world.make(1, address=plain.url(SECRET_PATH, HERE)))[0])

    with capture_logs() as entries:
        fail(FAILURES_UNTIL_OPEN + 3)
        plain.reply = lambda handler: answer(handler, 200)
        fail(1)
        plain.reply = lambda handler: answer(handler, 500)
        fail(FAILURES_UNTIL_OPEN)
    said = [entry for entry in entries if entry["event"] == "webhook circuit open"]
    assert len(said) == 2
    destination = world.hoard.sending.keys.destination(
        world.integrator, plain.url(SECRET_PATH, HERE)
    )
    assert {entry["destination"] for entry in said} == {str(destination)}
    assert not any(word in str(entries) for word in ("hook/", HERE, "no-such-tenant"))


def test_an_endpoint_where_nothing_arrived_for_days_is_dead(
    lone_world: WebhookWorld, plain: Receiver
) -> None:
    world, sender = lone_world, lone_world.sender()
    plain.reply = lambda handler: answer(handler, 500)
    endpoint = world.endpoint(plain.url(SECRET_PATH, HERE))

    def fail() -> None:
        sender.send(world.schedule(world.make(1), endpoint)[0])

    with capture_logs() as entries:
        for _ in range(11):
            fail()
        assert world.hoard.ledger.webhooks.endpoint(endpoint).disabled is None
        world.clock.advance(DEAD_AFTER)
        fail()
    assert world.hoard.ledger.webhooks.endpoint(endpoint).disabled is DisableReason.DEAD
    [said] = [entry for entry in entries if entry["event"] == "webhook endpoint is dead"]
    assert said["endpoint"] == str(endpoint)
    assert said["log_level"] == "warning"


def test_addresses_that_hang_do_not_keep_one_that_answers(
    world: WebhookWorld, plain: Receiver
) -> None:
    go_on: dict[str, int] = {"hanging": 0, "let go": 0}

    def reply(handler: BaseHTTPRequestHandler) -> None:
        if "hang" in handler.path:
            go_on["hanging"] += 1
            plain.ending.wait()
            go_on["let go"] += 1
        answer(handler, 200)

    plain.reply = reply
    good = plain.url("/good", HERE)
    known = world.schedule(world.make(1, address=good))
    for each in known:
        world.sender().send(each)
    hanging: list[UUID] = []
    for number in range(200):
        hanging += world.schedule(world.make(1, address=plain.url(f"/hang/{number}", HERE)))
    dispatcher = dispatcher_of(world.hoard)
    dispatcher.start()
    try:
        # Half of the slots, as many as addresses that never answered may have.
        wait_until(lambda: go_on["hanging"] >= 128, "a hundred and more to hang")
        wanted = world.schedule(world.make(2, address=good))
        dispatcher.wake()
        wait_until(lambda: ids(plain)[-3:] == wanted, "those that answer")
        assert go_on["let go"] == 0
        assert go_on["hanging"] == 128
    finally:
        plain.ending.set()
        assert dispatcher.stop(60)
    assert len(hanging) == 400
