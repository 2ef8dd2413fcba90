"""Time-outs and messages are read from memory, and changes made here count at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from api.v2.workers.messages import WorkerMessage
from domain.return_codes import Refused
from infrastructure.keys.address_digests import AddressDigests
from infrastructure.service.timeouts import AddressTimeouts
from infrastructure.storage.database import Database
from infrastructure.storage.schema import migrate_ledger
from infrastructure.workers.messages import MessageTable
from tests.world import ManualClock

DIGESTS = AddressDigests(b"k" * 32)


class HandSeconds:
    """A clock of seconds that passes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database("sqlite://")
    migrate_ledger(made)
    yield made
    made.close()


def is_allowed(timeouts: AddressTimeouts, address: str) -> bool:
    try:
        timeouts.require_allowed(address)
    except Refused as refused:
        return refused.code.name != "TimeoutIP"
    return True


def test_other_processes_see_a_time_out_within_a_second(database: Database) -> None:
    clock, seconds = ManualClock(), HandSeconds()
    here = AddressTimeouts(database, DIGESTS, clock, seconds)
    there = AddressTimeouts(database, DIGESTS, clock, seconds)
    assert is_allowed(there, "192.0.2.7")
    here.shut_out("192.0.2.7", timedelta(hours=1))
    assert not is_allowed(here, "192.0.2.7")
    assert is_allowed(there, "192.0.2.7"), "the table was read for every request"
    seconds.seconds += 1.5
    assert not is_allowed(there, "192.0.2.7")


def test_a_digest_shuts_out_one_address_in_every_spelling(database: Database) -> None:
    timeouts = AddressTimeouts(database, DIGESTS, ManualClock())
    timeouts.shut_out(DIGESTS("2001:db8:0:0::7"), timedelta(hours=1))
    assert not is_allowed(timeouts, "2001:DB8::7")
    assert is_allowed(timeouts, "2001:db8::8")
    assert is_allowed(timeouts, "testclient")
    assert DIGESTS("::ffff:192.0.2.7") == DIGESTS("192.0.2.7") != DIGESTS("192.0.2.8")
    assert DIGESTS("192.0.2.7") != AddressDigests(b"l" * 32)("192.0.2.7")


def test_what_has_ended_is_thrown_away(database: Database) -> None:
    clock = ManualClock()
    timeouts = AddressTimeouts(database, DIGESTS, clock)
    timeouts.shut_out("192.0.2.7", timedelta(hours=1))
    clock.advance(timedelta(hours=2))
    timeouts.shut_out("198.51.100.0/24", timedelta(hours=1))
    clock.advance(timedelta(hours=-2))
    assert [each.address for each in timeouts.active()] == ["198.51.100.0/24"]


def message(clock: ManualClock, worker_id: UUID | None, hours: int = 1) -> WorkerMessage:
    now = clock.now()
    return WorkerMessage(
        uuid4(), worker_id, uuid4(), "hello", "me", now, now + timedelta(hours=hours)
    )


def test_other_processes_tell_a_message_within_two_seconds(database: Database) -> None:
    clock, seconds = ManualClock(), HandSeconds()
    here, there = (MessageTable(database, clock, seconds) for _ in range(2))
    worker_id = uuid4()
    assert not there.for_worker(worker_id)
    sent = message(clock, worker_id)
    here.add(sent)
    assert list(here.for_worker(worker_id)) == [sent]
    assert not here.for_worker(uuid4())
    assert not there.for_worker(worker_id), "the table was read for every pop"
    seconds.seconds += 2.5
    assert list(there.for_worker(worker_id)) == [sent]
    clock.advance(timedelta(hours=1))
    assert not there.for_worker(worker_id)


def test_messages_can_be_read_for_a_month_after_their_end(database: Database) -> None:
    clock = ManualClock()
    table = MessageTable(database, clock)
    old = message(clock, None)
    table.add(old)
    clock.advance(timedelta(days=29))
    table.add(message(clock, None))
    assert table.message(old.message_id) == old
    clock.advance(timedelta(days=2))
    table.add(message(clock, None))
    assert table.message(old.message_id) is None
