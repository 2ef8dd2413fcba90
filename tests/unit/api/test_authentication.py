"""Who is asking, and for how long that is remembered."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.http.authentication import ANONYMOUS, KEPT_SECONDS, Authentication
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.return_codes import Refused
from domain.workers.directory import WorkerEntry


class Book:
    """A directory whose accounts a test writes, counting how often it is asked."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountEntry] = {}
        self.asked = 0

    def open(self, key: str, name: str) -> AccountEntry:
        entry = AccountEntry(UUID(int=len(self.accounts) + 1), name, Roles())
        self.accounts[digest_of(key)] = entry
        return entry

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        self.asked += 1
        return self.accounts.get(key_digest)

    def account(self, account_id: UUID) -> AccountEntry | None:
        return None

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        return None

    def workers_of(self, owner_id: UUID) -> int:
        return 0


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def digest_of(key: str) -> str:
    return key[::-1]


def accounts_in(book: Book, clock: Seconds) -> Authentication:
    return Authentication(book, digest_of=digest_of, anonymous_key="0000000000", now=clock)


def test_the_anonymous_key_is_anonymous() -> None:
    assert accounts_in(Book(), Seconds()).by_key("0000000000") is ANONYMOUS


@pytest.mark.parametrize("key", [None, "", "unknown"])
def test_no_key_or_a_wrong_one_is_refused(key: str | None) -> None:
    with pytest.raises(Refused, match="InvalidAPIKey"):
        accounts_in(Book(), Seconds()).by_key(key)


def test_a_known_key_is_looked_up_once_in_a_while() -> None:
    book, clock = Book(), Seconds()
    entry = book.open("key", "somebody")
    accounts = accounts_in(book, clock)
    assert accounts.by_key("key") == accounts.by_key("key") == entry
    assert book.asked == 1
    clock.now += KEPT_SECONDS
    accounts.by_key("key")
    assert book.asked == 2


def test_a_key_that_was_taken_away_stops_counting() -> None:
    book, clock = Book(), Seconds()
    book.open("key", "somebody")
    accounts = accounts_in(book, clock)
    accounts.by_key("key")
    book.accounts.clear()
    clock.now += KEPT_SECONDS
    with pytest.raises(Refused, match="InvalidAPIKey"):
        accounts.by_key("key")


def test_a_new_key_counts_at_once() -> None:
    book = Book()
    accounts = accounts_in(book, Seconds())
    with pytest.raises(Refused, match="InvalidAPIKey"):
        accounts.by_key("key")
    entry = book.open("key", "somebody")
    assert accounts.by_key("key") == entry


def test_every_key_is_its_own_account() -> None:
    book = Book()
    one, two = book.open("one", "first"), book.open("two", "second")
    accounts = accounts_in(book, Seconds())
    assert [accounts.by_key(key) for key in ("one", "two", "one")] == [one, two, one]
