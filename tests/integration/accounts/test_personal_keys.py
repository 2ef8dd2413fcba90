"""Personal text is readable while its key exists, and never after."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.sealing import Forgotten, Sealed, Sealer
from infrastructure.keys.personal_keys import PersonalKeys, WrongMasterKey
from infrastructure.storage.database import Database
from tests.integration.storage.event_stores import open_store

MASTER = bytes(range(32))
PATIENCE_SECONDS = 60.0
PROMPT = "a lighthouse in a storm, été 🌊"


@pytest.fixture(params=["memory", "file", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    return open_store(request.param, request).database


@pytest.fixture
def keys(database: Database) -> PersonalKeys:
    return PersonalKeys(database, MASTER)


def stored_keys(database: Database) -> list[bytes]:
    with database.reading() as connection:
        return list(connection.execute(text("SELECT key FROM personal_key")).scalars())


def test_what_was_sealed_is_opened(keys: PersonalKeys) -> None:
    sealer: Sealer = keys
    subject = uuid4()
    sealed = sealer.seal(subject, PROMPT)
    assert sealed.subject == subject
    assert sealer.open(sealed) == PROMPT
    for odd in ("", "x" * 100_000, "\ud800 alone", "\x00"):
        assert keys.open(keys.seal(subject, odd)) == odd


def test_every_box_differs_and_none_shows_its_text(keys: PersonalKeys) -> None:
    subject = uuid4()
    boxes = [keys.seal(subject, "lighthouse").box for _ in range(3)]
    assert len(set(boxes)) == 3
    for box in boxes:
        assert b"lighthouse" not in base64.urlsafe_b64decode(box)


def test_one_key_for_a_subject_and_one_subject_for_a_key(
    keys: PersonalKeys, database: Database
) -> None:
    one, other = uuid4(), uuid4()
    sealed = [keys.seal(one, PROMPT), keys.seal(one, PROMPT), keys.seal(other, PROMPT)]
    assert len(set(stored_keys(database))) == 2
    with pytest.raises(Forgotten):
        keys.open(replace(sealed[0], subject=other))


def test_another_process_opens_the_box(keys: PersonalKeys, database: Database) -> None:
    sealed = keys.seal(uuid4(), PROMPT)
    assert PersonalKeys(database, MASTER).open(sealed) == PROMPT


def test_what_is_forgotten_stays_sealed(keys: PersonalKeys, database: Database) -> None:
    forgotten, kept = uuid4(), uuid4()
    sealed, other = keys.seal(forgotten, PROMPT), keys.seal(kept, PROMPT)
    assert keys.open(sealed) == PROMPT
    keys.forget(forgotten)
    for reader in (keys, PersonalKeys(database, MASTER)):
        with pytest.raises(Forgotten):
            reader.open(sealed)
        assert reader.open(other) == PROMPT
    keys.forget(forgotten)
    later = keys.seal(forgotten, PROMPT)
    assert keys.open(later) == PROMPT
    with pytest.raises(Forgotten):
        keys.open(sealed)


def test_a_key_is_kept_in_memory_only_so_long(database: Database) -> None:
    now = [0.0]
    keys = PersonalKeys(database, MASTER, cache_seconds=10.0, monotonic=lambda: now[0])
    sealed = keys.seal(uuid4(), PROMPT)
    assert keys.open(sealed) == PROMPT
    PersonalKeys(database, MASTER).forget(sealed.subject)
    now[0] = 10.0
    assert keys.open(sealed) == PROMPT
    now[0] = 10.1
    with pytest.raises(Forgotten):
        keys.open(sealed)


def test_only_so_many_keys_are_kept_in_memory(database: Database) -> None:
    keys = PersonalKeys(database, MASTER, cache_size=2)
    boxes = [keys.seal(uuid4(), PROMPT) for _ in range(3)]
    for sealed in boxes:
        assert keys.open(sealed) == PROMPT
    other = PersonalKeys(database, MASTER)
    for sealed in boxes:
        other.forget(sealed.subject)
    with pytest.raises(Forgotten):
        keys.open(boxes[0])
    assert keys.open(boxes[1]) == keys.open(boxes[2]) == PROMPT


def test_a_new_key_is_lost_with_its_transaction(keys: PersonalKeys, database: Database) -> None:
    subject = uuid4()
    boxes: list[Sealed] = []

    def seal_and_fail() -> None:
        with database.transaction():
            boxes.append(keys.seal(subject, PROMPT))
            boxes.append(keys.seal(subject, PROMPT))
            assert keys.open(boxes[0]) == keys.open(boxes[1]) == PROMPT
            raise LookupError

    with pytest.raises(LookupError):
        seal_and_fail()
    for sealed in boxes:
        with pytest.raises(Forgotten):
            keys.open(sealed)
    again = keys.seal(subject, PROMPT)
    assert PersonalKeys(database, MASTER).open(again) == PROMPT


def test_racing_writers_agree_on_one_key(database: Database) -> None:
    subject, writers = uuid4(), 8
    together = threading.Barrier(writers)
    each = [PersonalKeys(database, MASTER) for _ in range(writers)]

    def seal(keys: PersonalKeys) -> Sealed:
        together.wait(PATIENCE_SECONDS)
        return keys.seal(subject, PROMPT)

    with ThreadPoolExecutor(writers) as pool:
        boxes = list(pool.map(seal, each))
    assert len(stored_keys(database)) == 1
    fresh = PersonalKeys(database, MASTER)
    assert [fresh.open(sealed) for sealed in boxes] == [PROMPT] * writers


def test_the_tables_copy_alone_opens_nothing(keys: PersonalKeys, database: Database) -> None:
    sealed = keys.seal(uuid4(), PROMPT)
    thief = PersonalKeys(database, bytes(32))
    for attempt in (lambda: thief.open(sealed), lambda: thief.seal(sealed.subject, PROMPT)):
        with pytest.raises(WrongMasterKey):
            attempt()


def test_a_key_cannot_be_moved_to_another_subject(keys: PersonalKeys, database: Database) -> None:
    one, other = keys.seal(uuid4(), PROMPT), keys.seal(uuid4(), PROMPT)
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT subject, key FROM personal_key")).all()
        for (subject, _), (_, key) in zip(rows, reversed(rows), strict=True):
            connection.execute(
                text("UPDATE personal_key SET key = :key WHERE subject = :subject"),
                {"key": key, "subject": subject},
            )
    for sealed in (one, other):
        with pytest.raises(WrongMasterKey):
            PersonalKeys(database, MASTER).open(sealed)


def flipped(sealed: Sealed) -> Sealed:
    raw = bytearray(base64.urlsafe_b64decode(sealed.box))
    raw[-1] ^= 1
    return replace(sealed, box=base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda sealed: replace(sealed, box=""),
        lambda sealed: replace(sealed, box="AAAA"),
        lambda sealed: replace(sealed, box="no base64 é"),
        lambda sealed: replace(sealed, box="A"),
    ],
)
def test_a_damaged_box_opens_to_nothing(
    keys: PersonalKeys, damage: Callable[[Sealed], Sealed]
) -> None:
    sealed = keys.seal(uuid4(), PROMPT)
    with pytest.raises(Forgotten):
        keys.open(damage(sealed))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(database: Database, length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        PersonalKeys(database, bytes(length))


def test_an_unknown_subject_is_forgotten(keys: PersonalKeys) -> None:
    with pytest.raises(Forgotten):
        keys.open(Sealed(subject=UUID(int=0), box="A" * 64))
