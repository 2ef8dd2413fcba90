"""Webhooks whose sender, receiver or broker is killed: nothing is lost, and ids stay the same."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.accounts.roles import Roles
from domain.webhooks.delivery import WebhookDelivery
from infrastructure.bootstrap import assemble
from infrastructure.settings.environment import load_settings
from infrastructure.webhooks.claims import DELIVERY_CLAIM
from tests.e2e.program import Program, frozen
from tests.paths import ROOT
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, answer, receiver
from tests.webhook_world import HERE, LOOPBACK, WebhookWorld, ids
from tests.world import ManualClock

QUICK = {"permit_networks": LOOPBACK, "webhook_seconds": 4}
"""Settings under which a claim of a sender that was killed ends after nine seconds."""


class Beside(WebhookWorld):
    """The ledger of a running program, opened beside it, with the time that it really is."""

    def __init__(self, program: Program) -> None:
        self.hoard = assemble(load_settings(data=program.data))
        self.clock = ManualClock()
        self.owner_id = self.hoard.ledger.accounts.open("owner", "0" * 64, Roles(trusted=True))
        self.integrator = self.hoard.ledger.accounts.open("integrator", "1" * 64, Roles())

    def told(self, request_id: UUID) -> list[UUID]:
        """Return the ids of all that is to be told of a request, in order."""
        return [
            planned_delivery.delivery_id for planned_delivery in self.planned_deliveries(request_id)
        ]

    def claimed(self) -> Sequence[UUID]:
        """Return the deliveries that a sender has in hand."""
        with self.hoard.storage.ledger_database.reading() as connection:
            return connection.execute(select(DELIVERY_CLAIM.c.delivery_id)).scalars().all()

    def wait_until_delivered(self, deliveries: list[UUID]) -> None:
        """Wait until the ledger knows that everything arrived."""
        wait_until(
            lambda: all(self.is_delivered(each) for each in deliveries), "everything to arrive"
        )

    def is_delivered(self, delivery_id: UUID) -> bool:
        """Whether the ledger knows that it arrived."""
        arrived = WebhookDelivery.Delivered
        return any(isinstance(event, arrived) for event in self.history(delivery_id))


class Listener:
    """A receiver in a process of its own, on a port that stays the same."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HERE, 0))
            self.port = int(probe.getsockname()[1])
        self.file = folder / "came"
        self.hold = folder / "came.hold"
        self.process: subprocess.Popen[bytes] | None = None

    def url(self) -> str:
        return f"http://{HERE}:{self.port}/hook"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.e2e.webhook_listener"),
                *(str(self.port), str(self.file)),
            ],
            cwd=ROOT,
        )
        wait_until(self._listens, "the receiver to listen")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HERE, self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def came(self) -> list[UUID]:
        return [UUID(line) for line in self.file.read_text().split()] if self.file.exists() else []


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for all tests that kill some of it, or start it again after they killed it."""
    with Program(tmp_path_factory.mktemp("webhooks") / "data", workers=0, **QUICK) as program:
        yield program


@pytest.fixture(scope="module")
def world(program: Program) -> Iterator[Beside]:
    beside = Beside(program)
    yield beside
    beside.close()


@pytest.fixture
def plain() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path)
    yield made
    made.kill()


def kill(program: Program, child: str) -> None:
    """SIGKILL a child, and wait until another one is there."""
    first = program.pid(child)
    os.killpg(first, signal.SIGKILL)
    wait_until(lambda: program.pid(child) != first, f"another {child}")


def once_each(came: list[UUID]) -> list[UUID]:
    """Return what came in the order in which it came first."""
    return list(dict.fromkeys(came))


def hold_first(plain: Receiver) -> None:
    """Let a receiver answer everything but the first that comes, which it holds."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        if len(plain.posted) == 1:
            plain.ending.wait()
        answer(handler, 204)

    plain.reply = reply


def test_a_sender_that_is_killed_before_it_takes_anything_loses_nothing(
    program: Program, world: Beside, plain: Receiver
) -> None:
    first = program.pid("webhooks")
    os.kill(first, signal.SIGSTOP)
    told = world.told(world.make(2, address=plain.url(host=HERE)))
    wait_until(lambda: world.history(told[-1]), "the end to be scheduled")
    kill(program, "webhooks")

    world.wait_until_delivered(told)
    assert ids(plain) == told


def test_a_sender_that_is_killed_while_it_connects_loses_nothing(
    program: Program, world: Beside, listener: Listener
) -> None:
    with socket.create_server((HERE, listener.port), backlog=0), ExitStack() as stack:
        # Who comes after these is not let in, and not sent away either.
        for _ in range(2):
            available_workers = stack.enter_context(socket.socket())
            available_workers.setblocking(False)
            available_workers.connect_ex((HERE, listener.port))
        told = world.told(world.make(2, address=listener.url()))
        wait_until(lambda: told[0] in world.claimed(), "the sender to take it")
        kill(program, "webhooks")
    listener.start()

    world.wait_until_delivered(told)
    assert listener.came() == told


def test_what_was_sent_and_not_recorded_comes_again_under_the_same_id(
    program: Program, world: Beside, plain: Receiver
) -> None:
    hold_first(plain)
    told = world.told(world.make(2, address=plain.url(host=HERE)))
    wait_until(lambda: plain.posted, "the first image")
    kill(program, "webhooks")

    world.wait_until_delivered(told)
    assert ids(plain) == [told[0], *told]
    first, again = (json.loads(posted.body) for posted in plain.posted[:2])
    assert first.pop("img").split("?")[0] == again.pop("img").split("?")[0]
    assert first == again
    assert world.delivery(told[0]).attempts == 1


def test_a_sender_that_is_killed_when_it_was_answered_repeats_that_at_most(
    program: Program, world: Beside, plain: Receiver
) -> None:
    first = program.pid("webhooks")

    def reply(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, 204)
        if len(plain.posted) == 1:
            handler.wfile.flush()
            os.killpg(first, signal.SIGKILL)

    plain.reply = reply
    told = world.told(world.make(2, address=plain.url(host=HERE)))

    world.wait_until_delivered(told)
    assert ids(plain) in (told, [told[0], *told])


def test_a_receiver_that_is_killed_before_it_answers_gets_it_again(
    program: Program, world: Beside, listener: Listener
) -> None:
    listener.hold.touch()
    listener.start()
    told = world.told(world.make(2, address=listener.url()))
    wait_until(listener.came, "the first image")
    listener.kill()
    listener.hold.unlink()
    listener.start()

    world.wait_until_delivered(told)
    assert listener.came() == [told[0], *told]
    assert world.delivery(told[0]).attempts >= 2


def test_a_receiver_that_is_away_for_a_while_gets_everything_once(
    program: Program, world: Beside, listener: Listener
) -> None:
    told = world.told(world.make(2, address=listener.url()))
    wait_until(lambda: world.tries(told[0]), "a try in vain")
    listener.start()

    world.wait_until_delivered(told)
    assert listener.came() == told


def test_without_a_broker_everything_comes(
    program: Program, world: Beside, plain: Receiver
) -> None:
    with frozen(program.pid("redis")):
        told = world.told(world.make(2, address=plain.url(host=HERE)))
        world.wait_until_delivered(told)
    kill(program, "redis")
    told += (later := world.told(world.make(2, address=plain.url(host=HERE))))
    world.wait_until_delivered(later)
    assert ids(plain) == told


def test_whatever_is_killed_everything_comes_and_in_order(
    program: Program, world: Beside, plain: Receiver
) -> None:
    random_source = random.Random(7)
    told: list[list[UUID]] = []
    for victim in random_source.sample(["webhooks", "projector", "redis"] * 2, 6):
        for _ in range(3):
            told.append(world.told(world.make(2, address=plain.url(host=HERE))))
        os.killpg(program.pid(victim), signal.SIGKILL)

    for each in told:
        world.wait_until_delivered(each)
    came = once_each(ids(plain))
    assert sorted(came) == sorted(each for request in told for each in request)
    for request in told:
        assert [each for each in came if each in request] == request


def test_after_sigkill_of_everything_a_restart_goes_on(
    program: Program, world: Beside, plain: Receiver
) -> None:
    hold_first(plain)
    told = world.told(world.make(3, address=plain.url(host=HERE)))
    wait_until(lambda: plain.posted, "the first image")
    program.kill()
    program.start()

    world.wait_until_delivered(told)
    assert ids(plain) == [told[0], *told]


def test_a_sender_that_is_stopped_in_order_finishes_what_it_sends(
    program: Program, world: Beside, plain: Receiver
) -> None:
    first, log = program.pid("webhooks"), program.data / "logs" / "webhooks.log"
    before = log.stat().st_size

    def reply(handler: BaseHTTPRequestHandler) -> None:
        if len(plain.posted) == 1:
            os.kill(first, signal.SIGTERM)
            wait_until(lambda: b"sender stops" in log.read_bytes()[before:], "it to stop")
        answer(handler, 204)

    plain.reply = reply
    told = world.told(world.make(2, address=plain.url(host=HERE)))

    world.wait_until_delivered(told)
    assert ids(plain) == told
    wait_until(lambda: program.pid("webhooks") != first, "another sender")


def test_a_receiver_that_hangs_keeps_nobody_from_stopping(tmp_path: Path, plain: Receiver) -> None:
    plain.reply = lambda _: plain.ending.wait()
    patient = QUICK | {"webhook_seconds": 60}
    with Program(tmp_path / "data", workers=0, **patient) as program:
        world = Beside(program)
        told = world.told(world.make(1, address=plain.url(host=HERE)))
        wait_until(lambda: plain.posted, "the image")
        assert program.stop() == 0
        assert "child killed" not in program.trouble()
        assert world.delivery(told[0]).attempts == 0
        world.close()
