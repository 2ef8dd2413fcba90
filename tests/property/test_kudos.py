"""Kudos under many hands at once: nothing is spent twice, and strangers never wait."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.kudos import Balance, burnt_by, hold_for, hundredths, priority_after
from domain.accounts.shared_key import KeyLimits
from domain.ledger import Ledger
from domain.requests.request import Request
from domain.requests.specification import SubmitRequest
from domain.return_codes import Refused
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import Settings
from projections.following.rebuild import verify
from projections.kudos.tables import KUDOS_BALANCE
from projections.queue.tables import OPEN_REQUEST
from tests.kudos_world import issue_key, open_account, refusal_of, request_of
from tests.prepared import assembled

_FIGURE = st.integers(0, 10**9)
_BALANCES = st.builds(Balance, earned=_FIGURE, burnt=_FIGURE, received=_FIGURE, held=_FIGURE)
_PRICES = st.integers(0, 10**7).map(lambda amount: amount / 100)

_SENDERS = 3
_START = 60.0

Move = tuple[str, int, int, float]
"""What is done, by which account, to which one, and how many images or kudos."""

_MOVES = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 2), st.just(0), st.sampled_from([1.0, 2.0, 5.0])),
    st.tuples(st.just("key"), st.just(0), st.just(0), st.sampled_from([1.0, 2.0])),
    st.tuples(st.just("cancel"), st.integers(0, 2), st.just(0), st.sampled_from([1.0, 3.0])),
    st.tuples(
        st.just("send"), st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.01, 20.0, 45.5])
    ),
    st.tuples(st.just("take"), st.integers(0, 2), st.just(0), st.sampled_from([-30.0, 5.0])),
    st.tuples(st.just("fold"), st.just(0), st.just(0), st.just(0.0)),
)


@given(_PRICES, _BALANCES)
def test_a_hold_is_no_more_than_the_price_nor_than_there_is(price: float, balance: Balance) -> None:
    held = hundredths(hold_for(price, balance))
    assert 0 <= held <= hundredths(price)
    assert held <= max(0, balance.available)
    assert held == hundredths(price) or held == max(0, balance.available)
    assert priority_after(hold_for(price, balance), balance) >= 0


@given(st.floats(0, 5000), st.integers(1, 20), _PRICES)
def test_more_images_never_burn_less_nor_more_than_is_held(
    per_image: float, images: int, held: float
) -> None:
    burnt = [burnt_by(made, per_image=per_image, held=held) for made in range(images + 1)]
    assert burnt == sorted(burnt)
    assert burnt[0] == 0
    assert burnt[-1] <= held


@contextmanager
def hoard_on(database: str, folder: Path) -> Iterator[Hoard]:
    hoard = assembled(Settings(data=folder, ledger_url=database or None))
    try:
        yield hoard
    finally:
        hoard.close()


def together(hoard: Hoard, hands: Sequence[Sequence[Move]], names: str) -> None:
    """Let several threads do their moves at once on the same few accounts, and count after."""
    accounts = [open_account(hoard, f"{names} {n}", _START) for n in range(_SENDERS)]
    key_id = issue_key(hoard, accounts[0], KeyLimits(kudos=30))
    start = threading.Barrier(len(hands))

    def do(moves: Sequence[Move]) -> None:
        start.wait()
        for move in moves:
            _do(hoard, accounts, key_id, move)

    with ThreadPoolExecutor(len(hands)) as threads:
        for done in [threads.submit(do, moves) for moves in hands]:
            done.result()
    balances = [hoard.inline.kudos.balance(account_id) for account_id in accounts]
    for balance in balances:
        assert balance.available >= 0
        assert balance.held >= 0
    assert sum(b.sent for b in balances) == sum(b.received for b in balances)
    assert sum(b.amount for b in balances) == sum(b.awarded - b.burnt for b in balances)
    assert hoard.inline.kudos.balance(key_id).spent <= hundredths(30)
    assert sum(b.held for b in balances) == open_holds(hoard, accounts)
    assert (
        verify(hoard.inline.kudos, hoard.storage.log, hoard.storage.ledger_database).differences
        == ()
    )


def _do(hoard: Hoard, accounts: Sequence[UUID], key_id: UUID, move: Move) -> None:
    kind, who, whom, number = move
    account_id, ledger = accounts[who], hoard.ledger
    if kind == "fold":
        hoard.inline.kudos.fold(10)
    elif kind == "send":
        refusal_of(ledger.kudos.transfer, account_id, accounts[whom], number)
    elif kind == "take":
        ledger.kudos.award(account_id, number, by=None, reason="why not")
    else:
        command = request_of(
            account_id, int(number), shared_key_id=key_id if kind == "key" else None
        )
        request_id = _asked(ledger, command)
        if kind == "cancel" and request_id is not None:
            ledger.requests.cancel(request_id)


def _asked(ledger: Ledger, command: SubmitRequest) -> UUID | None:
    try:
        return ledger.requests.submit(command)[0]
    except Refused:
        return None


def open_holds(hoard: Hoard, accounts: Sequence[UUID]) -> int:
    """Return what requests of these accounts hold that are not over, as the events say."""
    held: dict[UUID, int] = {}
    for recorded in hoard.storage.log.committed_after(0, 1_000_000):
        event = recorded.event
        if isinstance(event, Request.Submitted) and event.account_id in accounts:
            held[event.originator_id] = hundredths(event.held)
        elif isinstance(event, Request.Ended):
            held.pop(event.originator_id, None)
    return sum(held.values())


_AT_ONCE = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # What failed once by an interleaving may pass when it is tried again: nothing to be shrunk.
    phases=[Phase.generate],
    database=None,
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_interleaving_spends_twice(database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("prepared_postgres_url") if database == "postgresql" else ""
    with tempfile.TemporaryDirectory() as folder, hoard_on(url, Path(folder)) as hoard:
        rounds = iter(range(1_000_000))

        @_AT_ONCE
        @given(st.lists(st.lists(_MOVES, min_size=4, max_size=12), min_size=4, max_size=8))
        def at_once(hands: list[list[Move]]) -> None:
            together(hoard, hands, f"round {next(rounds)}")

        at_once()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_of_many_who_want_the_last_kudos_one_gets_them(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("prepared_postgres_url") if database == "postgresql" else ""
    with hoard_on(url, tmp_path) as hoard:
        payer, other = (open_account(hoard, name) for name in ("payer", "other"))
        price = hoard.ledger.requests.price(request_of(payer)).total
        hoard.ledger.kudos.award(payer, price, by=None, reason="once")
        start = threading.Barrier(8)

        def spend(number: int) -> bool:
            start.wait()
            if number % 2:
                return refusal_of(hoard.ledger.kudos.transfer, payer, other, price) is None
            command = request_of(payer, upfront=True)
            return refusal_of(hoard.ledger.requests.submit, command) is None

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(spend, range(8))).count(True) == 1
        assert hoard.inline.kudos.balance(payer).available == 0


def test_an_anonymous_request_waits_for_no_other(
    prepared_postgres_url: str, tmp_path: Path
) -> None:
    """One is stopped in the middle of its transaction, all it writes written: others go through."""
    with hoard_on(prepared_postgres_url, tmp_path) as hoard:
        payer = open_account(hoard, "payer", 1000)
        ledger = hoard.ledger
        for account_id in (ANONYMOUS_ID, payer):
            ledger.requests.submit(request_of(account_id))
        before = requests_waiting(hoard)

        def others() -> int:
            with ThreadPoolExecutor(10) as threads:
                asked = [
                    threads.submit(ledger.requests.submit, request_of(ANONYMOUS_ID))
                    for _ in range(2000)
                ]
                return len([each.result(timeout=120) for each in asked])

        with ThreadPoolExecutor(1) as elsewhere, hoard.storage.ledger_database.transaction():
            ledger.requests.submit(request_of(ANONYMOUS_ID))
            ledger.requests.submit(request_of(payer))
            assert elsewhere.submit(others).result(timeout=300) == 2000
        assert requests_waiting(hoard) == before + 2002
        with hoard.storage.ledger_database.reading() as connection:
            holders = connection.execute(select(KUDOS_BALANCE.c.holder_id)).scalars().all()
        assert holders == [payer]


def requests_waiting(hoard: Hoard) -> int:
    with hoard.storage.ledger_database.reading() as connection:
        return connection.execute(select(func.count()).select_from(OPEN_REQUEST)).scalar_one()
