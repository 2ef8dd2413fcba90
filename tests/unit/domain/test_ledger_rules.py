"""The two rules that every command of the ledger keeps to: on rights, and on lost races.

What the ledger offers is found by looking at its parts, so that a new method has to say here what
it is: a command, of which both rules are tested, or a question, which must not save anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.changes import AccountChange
from domain.accounts.roles import Roles
from domain.accounts.shared_key import KeyLimits
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.ledger.core import ATTEMPTS
from domain.ledger.idempotency import IdempotencyKey
from domain.requests.specification import ReplicateImage, Requester, SubmitRequest
from domain.return_codes import Refused
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.endpoint import DisableReason
from domain.workers.changes import WorkerChange
from domain.workers.matching import Capabilities
from infrastructure.bootstrap import assemble
from infrastructure.settings.environment import load_settings
from projections.tracking import notifications
from tests.delivery_world import BROKEN, DeliveryWorld, address, numbered
from tests.kudos_world import available, open_account, request_of
from tests.world import ManualClock, SeededRandomSource

ABLE = Capabilities(("Any",), 20, 2048 * 2048, True, 1, False, "test:1:nobody")
KEY = IdempotencyKey("a" * 64, "b" * 64)
DIGEST = "d" * 64

Command = Callable[[], object]


@dataclass
class Races:
    """What stands before the store of events and lets transactions lose."""

    insert: Callable[..., Sequence[int] | None]
    losing: int = 0
    """How many of the next transactions lose."""
    attempts: int = 0

    def insert_events(self, events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self.attempts += 1
        if self.losing:
            self.losing -= 1
            raise IntegrityError("another transaction was faster")
        return self.insert(events, **kwargs)


@dataclass
class World:
    """A ledger in memory on which anything can be done, by an account without any role."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        settings = load_settings(
            data=self.folder,
            ledger_url="sqlite://",
            views_url="sqlite://",
            trust_kudos=0,
            trust_age_days=0,
        )
        self.hoard = assemble(settings, clock=self.clock, random_source=SeededRandomSource())
        self.ledger = self.hoard.ledger
        self.nobody = open_account(self.hoard, "nobody", 10_000)
        self.other = open_account(self.hoard, "other")
        self.deliveries = DeliveryWorld(self.hoard, self.clock)

    def requested(self) -> UUID:
        return self.ledger.requests.submit(request_of(self.nobody, 2))[0]

    @property
    def pop(self) -> PopJob:
        return PopJob(self.nobody, False, "worker", ABLE)

    def job(self) -> PoppedJob:
        self.requested()
        popped = self.ledger.jobs.pop(self.pop)
        assert isinstance(popped, PoppedJob)
        return popped

    def worker(self) -> UUID:
        return self.ledger.workers.sign_in(self.pop).worker_id

    def shared_key(self) -> UUID:
        return self.ledger.shared_keys.issue(
            self.nobody, name="lent", key_digest="c" * 64, limits=KeyLimits()
        )

    def delivery(self) -> UUID:
        return self.deliveries.due(numbered(1), to=address(1))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.hoard.close()


@pytest.fixture
def races(world: World, monkeypatch: pytest.MonkeyPatch) -> Races:
    recorder = world.ledger.recorder
    made = Races(recorder.insert_events)
    monkeypatch.setattr(recorder, "insert_events", made.insert_events)
    return made


def single_images(world: World) -> SubmitRequest:
    command = request_of(world.nobody, 2)
    return replace(command, specification=replace(command.specification, disable_batching=True))


def submit_without_batching(world: World) -> Command:
    command = single_images(world)
    return partial(world.ledger.requests.submit, command)


def submit_image(world: World) -> Command:
    job = world.job()
    return partial(
        world.ledger.jobs.submit_image,
        job.image_ids[0],
        owner_id=world.nobody,
        digest=DIGEST,
        seed=1,
        state=ImageState.OK,
    )


def submit_last_image(world: World) -> Command:
    job = world.job()
    world.ledger.jobs.fault_image(job.image_ids[1], owner_id=world.nobody)
    return partial(
        world.ledger.jobs.submit_image,
        job.image_ids[0],
        owner_id=world.nobody,
        digest=DIGEST,
        seed=1,
        state=ImageState.OK,
    )


def later(world: World, job_id: UUID, *, seconds: float) -> UUID:
    world.clock.advance(timedelta(seconds=seconds))
    return job_id


def pop(world: World) -> Command:
    world.worker()
    world.requested()
    return partial(world.ledger.jobs.pop, world.pop)


def restore(world: World) -> Command:
    world.ledger.accounts.delete(world.other, by=None)
    return partial(world.ledger.accounts.restore, world.other, by=world.nobody)


def schedule(world: World) -> Command:
    planned = world.deliveries.planned_delivery(numbered(1), to=address(1))
    return partial(world.ledger.webhooks.schedule, [planned])


def abandon_if_late(world: World) -> Command:
    delivery_id = world.delivery()
    world.clock.advance(timedelta(days=30))
    return partial(world.ledger.webhooks.abandon_if_late, delivery_id)


def resend(world: World) -> Command:
    delivery_id = world.delivery()
    world.ledger.webhooks.abandon(delivery_id, AbandonReason.FAILED)
    return partial(world.ledger.webhooks.resend, delivery_id, by=world.nobody)


COMMANDS: dict[str, Callable[[World], Command]] = {
    "requests.submit": lambda world: partial(
        world.ledger.requests.submit, request_of(world.nobody)
    ),
    "requests.submit of anonymous": lambda world: partial(
        world.ledger.requests.submit, request_of(ANONYMOUS_ID)
    ),
    "requests.submit with a key": lambda world: partial(
        world.ledger.requests.submit, request_of(world.nobody), KEY
    ),
    "requests.submit without batching": submit_without_batching,
    "requests.cancel": lambda world: partial(world.ledger.requests.cancel, world.requested()),
    "requests.expire": lambda world: partial(world.ledger.requests.expire, world.requested()),
    "jobs.pop": pop,
    "jobs.submit_image": submit_image,
    "jobs.submit_image, the last of its job": submit_last_image,
    "jobs.fault_image": lambda world: partial(
        world.ledger.jobs.fault_image, world.job().image_ids[0], owner_id=world.nobody
    ),
    "jobs.fail": lambda world: partial(
        world.ledger.jobs.fail, world.job().job_id, owner_id=world.nobody, reason="no memory"
    ),
    "jobs.expire_lease": lambda world: partial(
        world.ledger.jobs.expire_lease, later(world, world.job().job_id, seconds=10_000)
    ),
    "jobs.renew_lease": lambda world: partial(
        world.ledger.jobs.renew_lease,
        later(world, world.job().job_id, seconds=10),
        owner_id=world.nobody,
    ),
    "jobs.record_progress": lambda world: partial(
        world.ledger.jobs.record_progress,
        later(world, world.job().job_id, seconds=10),
        owner_id=world.nobody,
        step=1,
        steps=20,
    ),
    "accounts.open": lambda world: partial(
        world.ledger.accounts.open, "new", "1" * 64, Roles(), contact="new@example.org"
    ),
    "accounts.change": lambda world: partial(
        world.ledger.accounts.change,
        world.other,
        AccountChange(name="renamed", roles={"moderator": True}, concurrency=1, comment="why"),
        by=world.nobody,
    ),
    "accounts.regenerate_key": lambda world: partial(
        world.ledger.accounts.regenerate_key, world.other, "2" * 64
    ),
    "accounts.delete": lambda world: partial(
        world.ledger.accounts.delete, world.other, by=world.nobody
    ),
    "accounts.restore": restore,
    "kudos.transfer": lambda world: partial(
        world.ledger.kudos.transfer, world.nobody, world.other, 5
    ),
    "kudos.transfer with a key": lambda world: partial(
        world.ledger.kudos.transfer, world.nobody, world.other, 5, key=KEY
    ),
    "kudos.award": lambda world: partial(
        world.ledger.kudos.award, world.other, 5, by=world.nobody, reason="thanks"
    ),
    "kudos.trust": lambda world: partial(world.ledger.kudos.trust, world.other),
    "shared_keys.issue": lambda world: partial(
        world.ledger.shared_keys.issue,
        world.nobody,
        name="lent",
        key_digest="3" * 64,
        limits=KeyLimits(),
    ),
    "shared_keys.change": lambda world: partial(
        world.ledger.shared_keys.change, world.shared_key(), name="new", limits=KeyLimits(kudos=5)
    ),
    "shared_keys.revoke": lambda world: partial(
        world.ledger.shared_keys.revoke, world.shared_key()
    ),
    "workers.sign_in": lambda world: partial(world.ledger.workers.sign_in, world.pop),
    "workers.change": lambda world: partial(
        world.ledger.workers.change, world.worker(), WorkerChange(name="renamed", paused=True)
    ),
    "workers.delete": lambda world: partial(world.ledger.workers.delete, world.worker()),
    "workers.flag": lambda world: partial(world.ledger.workers.flag, world.worker(), lost=9),
    "modes.change": lambda world: partial(
        world.ledger.modes.change, maintenance=True, by=world.nobody
    ),
    "webhooks.register_endpoint": lambda world: partial(
        world.ledger.webhooks.register_endpoint,
        world.nobody,
        address="https://receiver.example/hook",
        kinds=[notifications.ENDED],
    ),
    "webhooks.change_endpoint": lambda world: partial(
        world.ledger.webhooks.change_endpoint,
        world.deliveries.endpoint(),
        account_id=world.deliveries.account_id,
        enabled=False,
    ),
    "webhooks.delete_endpoint": lambda world: partial(
        world.ledger.webhooks.delete_endpoint,
        world.deliveries.endpoint(),
        account_id=world.deliveries.account_id,
    ),
    "webhooks.disable_endpoint": lambda world: partial(
        world.ledger.webhooks.disable_endpoint, world.deliveries.endpoint(), DisableReason.DEAD
    ),
    "webhooks.test_endpoint": lambda world: partial(
        world.ledger.webhooks.test_endpoint,
        world.deliveries.endpoint(),
        account_id=world.deliveries.account_id,
    ),
    "webhooks.rotate_secret": lambda world: partial(
        world.ledger.webhooks.rotate_secret, world.nobody
    ),
    "webhooks.schedule": schedule,
    "webhooks.record_attempt": lambda world: partial(
        world.ledger.webhooks.record_attempt, world.delivery(), BROKEN, seconds=0.1, answer="no"
    ),
    "webhooks.abandon": lambda world: partial(
        world.ledger.webhooks.abandon, world.delivery(), AbandonReason.FAILED
    ),
    "webhooks.abandon_if_late": abandon_if_late,
    "webhooks.resend": resend,
}
"""Every command, some of them in several cases; each changes something, and the account that gives
it has no role at all."""


def replicate(world: World) -> Command:
    image_id = world.job().image_ids[0]
    world.ledger.jobs.submit_image(
        image_id, owner_id=world.nobody, digest=DIGEST, seed=1, state=ImageState.OK
    )
    again = ReplicateImage(Requester(world.nobody), image_id)
    return partial(world.ledger.requests.replicate, again)


QUESTIONS: dict[str, Callable[[World], Command]] = {
    "requests.earlier": lambda world: partial(world.ledger.requests.earlier, KEY),
    "requests.check_rights": lambda world: partial(
        world.ledger.requests.check_rights, request_of(world.nobody, 2)
    ),
    "requests.price": lambda world: partial(world.ledger.requests.price, request_of(world.nobody)),
    "requests.can_afford": lambda world: partial(
        world.ledger.requests.can_afford, request_of(world.nobody)
    ),
    "requests.replicate": replicate,
    "jobs.may_upload": lambda world: partial(
        world.ledger.jobs.may_upload, world.job().image_ids[0]
    ),
    "webhooks.endpoint": lambda world: partial(
        world.ledger.webhooks.endpoint, world.deliveries.endpoint()
    ),
    "webhooks.endpoint_of": lambda world: partial(
        world.ledger.webhooks.endpoint_of, world.deliveries.account_id, world.deliveries.endpoint()
    ),
    "webhooks.secret_numbers": lambda world: partial(
        world.ledger.webhooks.secret_numbers, world.nobody
    ),
    "webhooks.delivery": lambda world: partial(world.ledger.webhooks.delivery, world.delivery()),
}


def method_of(case: str) -> str:
    """Return ``part.method`` of a case's name."""
    return case.replace(",", "").split(" ")[0]


def test_each_method_of_each_part_is_a_command_or_a_question(world: World) -> None:
    parts = {
        name: part
        for name, part in vars(world.ledger).items()
        if not name.startswith("_") and type(part).__module__.startswith("domain.ledger.")
    }
    offered = {
        f"{name}.{method}"
        for name, part in parts.items()
        for method, _ in inspect.getmembers(part, callable)
        if not method.startswith("_")
    }
    assert offered == {method_of(case) for case in (*COMMANDS, *QUESTIONS)}
    assert len(parts) == 8


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_needs_no_role_and_is_done_again_when_it_loses(
    world: World, races: Races, case: str
) -> None:
    command = COMMANDS[case](world)
    nobody = world.hoard.inline.directory.account(world.nobody)
    assert nobody is not None
    assert nobody.roles == Roles()
    before = world.hoard.storage.log.last_position(), available(world.hoard, world.nobody)

    # In a transaction of its caller's it is attempted once: what was read there stays read.
    races.losing, races.attempts = 1000, 0
    with pytest.raises(IntegrityError), world.hoard.storage.ledger_database.transaction():
        command()
    assert races.attempts == 1

    # Without one it is attempted so often, then refused, and leaves nothing behind.
    races.attempts = 0
    with pytest.raises(Refused) as refused:
        command()
    assert refused.value.code.name == "Locked"
    assert races.attempts == ATTEMPTS
    assert (world.hoard.storage.log.last_position(), available(world.hoard, world.nobody)) == before

    # When it loses once it is done all the same.
    races.losing, races.attempts = 1, 0
    command()
    assert races.attempts == 2
    assert world.hoard.storage.log.last_position() > before[0]


@pytest.mark.parametrize("case", QUESTIONS)
def test_a_question_saves_nothing(world: World, races: Races, case: str) -> None:
    question = QUESTIONS[case](world)
    races.attempts = 0
    question()
    assert races.attempts == 0


def test_who_may_not_ask_for_single_images_is_told_before(world: World) -> None:
    command = single_images(world)
    with pytest.raises(Refused) as refused:
        world.ledger.requests.check_rights(command)
    assert refused.value.code.name == "RequiresTrust"
    world.ledger.kudos.trust(world.nobody)
    world.ledger.requests.check_rights(command)
