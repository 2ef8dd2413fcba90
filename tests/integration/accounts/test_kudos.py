"""Kudos on real databases: held, burnt, given back, earned, sent and awarded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from api.http.authentication import ANONYMOUS
from domain.accounts.account import ANONYMOUS_ID, Account
from domain.accounts.kudos import MOST_PRIORITY, Balance, hundredths, kudos_from
from domain.accounts.rights import require_may_award
from domain.accounts.roles import Roles
from domain.accounts.shared_key import KeyLimits
from domain.requests.pricing import image_kudos
from domain.requests.request import Request
from infrastructure.bootstrap import allowances_of
from projections.following.rebuild import rebuild, verify
from projections.kudos.tables import KUDOS_BALANCE, KUDOS_ENTRY
from projections.queue.tables import OPEN_REQUEST
from tests.kudos_world import (
    SETTINGS,
    available,
    issue_key,
    open_account,
    refusal_of,
    request_of,
)
from tests.statements import statements_of
from tests.view_world import ViewWorld
from workers.chores.balances import fold_balances, give_trust

REWARD = round(image_kudos(SETTINGS), 2)


def price_of(world: ViewWorld, images: int) -> float:
    return world.hoard.ledger.requests.price(request_of(world.owner_id, images)).total


def asked(world: ViewWorld, account_id: UUID, images: int = 1, **fields: Any) -> UUID:
    return world.hoard.ledger.requests.submit(request_of(account_id, images, **fields))[0]


def submitted(world: ViewWorld, request_id: UUID) -> Request.Submitted:
    found = next(
        recorded.event
        for recorded in world.hoard.storage.log.committed_after(0, 1000)
        if recorded.event.originator_id == request_id
    )
    assert isinstance(found, Request.Submitted)
    return found


def verified(world: ViewWorld) -> bool:
    return verify(
        world.hoard.inline.kudos, world.hoard.storage.log, world.hoard.storage.ledger_database
    ).holds


def rows(world: ViewWorld, table: Any) -> int:
    with world.hoard.storage.ledger_database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_price_is_held_then_burnt_as_images_come_and_the_rest_given_back(
    world: ViewWorld,
) -> None:
    payer = open_account(world.hoard, "payer", 1000)
    price = price_of(world, 20)
    request_id = asked(world, payer, 20)
    balance = world.hoard.inline.kudos.balance(payer)
    assert (balance.amount, balance.held) == (100_000, hundredths(price))
    assert available(world.hoard, payer) == pytest.approx(1000 - price)

    job = world.pop()
    world.deliver(job, 0, 1, 2)
    world.hoard.ledger.jobs.fail(job.job_id, owner_id=world.owner_id, reason="gone")
    three = hundredths(price_of(world, 3))
    balance = world.hoard.inline.kudos.balance(payer)
    assert (balance.burnt, balance.held) == (three, hundredths(price) - three)

    world.hoard.ledger.requests.cancel(request_id)
    assert world.hoard.inline.kudos.balance(payer) == Balance(awarded=100_000, burnt=three)
    assert verified(world)


def test_a_request_of_which_all_is_made_burns_its_price_to_the_hundredth(world: ViewWorld) -> None:
    payer = open_account(world.hoard, "payer", 1000)
    for images in (1, 3, 20):
        before = world.hoard.inline.kudos.balance(payer).burnt
        asked(world, payer, images)
        world.deliver(world.pop())
        balance = world.hoard.inline.kudos.balance(payer)
        assert balance.burnt - before == hundredths(price_of(world, images))
        assert balance.held == 0


def test_images_that_open_jobs_delivered_are_burnt_when_the_request_is_cancelled(
    world: ViewWorld,
) -> None:
    payer = open_account(world.hoard, "payer", 1000)
    request_id = asked(world, payer, 5)
    world.deliver(world.pop(), 0, 1)
    world.hoard.ledger.requests.cancel(request_id)
    burnt = hundredths(price_of(world, 2))
    assert world.hoard.inline.kudos.balance(payer) == Balance(awarded=100_000, burnt=burnt)


def test_the_workers_owner_earns_for_each_image(world: ViewWorld) -> None:
    asked(world, ANONYMOUS_ID, 3)
    asked(world, world.owner_id, 2)
    for _ in range(2):
        world.deliver(world.pop())
    balance = world.hoard.inline.kudos.balance(world.owner_id)
    assert (balance.earned, balance.burnt, balance.held) == (5 * hundredths(REWARD), 0, 0)
    assert verified(world)


def test_anonymous_has_no_balance_and_no_row_anywhere(world: ViewWorld) -> None:
    request_id = world.submit(4)
    world.deliver(world.pop())
    other = world.submit(4)
    world.hoard.ledger.requests.cancel(other)
    assert submitted(world, request_id).held == 0
    with world.hoard.storage.ledger_database.reading() as connection:
        for table in (KUDOS_BALANCE, KUDOS_ENTRY):
            holders = connection.execute(select(table.c.holder_id)).scalars().all()
            assert set(holders) == {world.owner_id}


def test_who_has_too_little_is_served_with_what_there_is_and_without_priority(
    world: ViewWorld,
) -> None:
    poor = open_account(world.hoard, "poor", 3)
    event = submitted(world, asked(world, poor, 4))
    assert (event.held, event.priority, event.requirements.unfunded) == (3.0, 0.0, True)
    assert available(world.hoard, poor) == 0
    world.deliver(world.pop())
    assert world.hoard.inline.kudos.balance(poor) == Balance(awarded=300, burnt=300)


def test_priority_is_what_is_left_of_the_kudos(world: ViewWorld) -> None:
    payer = open_account(world.hoard, "payer", 1000)
    event = submitted(world, asked(world, payer, 4))
    assert event.priority == pytest.approx(1000 - event.held)
    assert not event.requirements.unfunded
    rich = open_account(world.hoard, "rich", 1e9)
    assert submitted(world, asked(world, rich)).priority == MOST_PRIORITY


def test_heavy_requests_need_their_kudos_up_front(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    poor = open_account(world.hoard, "poor", 10)
    for account_id in (poor, ANONYMOUS_ID):
        refused = refusal_of(ledger.requests.submit, request_of(account_id, 4, upfront=True))
        assert refused is not None
        assert refused.code.name == "KudosUpfront"
        assert refused.details == {"kudos": price_of(world, 4)}
    assert available(world.hoard, poor) == 10
    rich = open_account(world.hoard, "rich", price_of(world, 4))
    asked(world, rich, 4, upfront=True)
    assert available(world.hoard, rich) == 0


def test_an_account_has_no_more_images_waiting_than_it_may(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    payer = open_account(world.hoard, "payer")
    asked(world, payer, 20)
    asked(world, payer, 10)
    refused = refusal_of(ledger.requests.submit, request_of(payer))
    assert refused is not None
    assert (refused.code.name, refused.details) == (
        "TooManyPrompts",
        {"waiting": 31, "concurrency": 30},
    )
    world.pop()
    asked(world, payer, 20)
    for _ in range(3):
        asked(world, ANONYMOUS_ID, 20)
        asked(world, open_account(world.hoard, "trusted", roles=Roles(trusted=True)), 20)


def test_an_accounts_own_limit_counts_before_all_others(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    payer = open_account(world.hoard, "payer", roles=Roles(trusted=True))
    account: Account = ledger.repository.get(payer)
    account.change_limits(
        concurrency=2, worker_invited=0, by=None, timestamp=world.hoard.clock.now()
    )
    ledger.save(account)
    asked(world, payer, 2)
    refused = refusal_of(ledger.requests.submit, request_of(payer))
    assert refused is not None
    assert refused.details == {"waiting": 3, "concurrency": 2}


def test_a_shared_key_spends_no_more_than_its_limit_with_what_it_holds(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    owner = open_account(world.hoard, "generous", 1000)
    limit = int(price_of(world, 2)) + 5
    key = issue_key(world.hoard, owner, KeyLimits(kudos=limit))
    first = asked(world, owner, 2, shared_key_id=key)
    refused = refusal_of(ledger.requests.submit, request_of(owner, 2, shared_key_id=key))
    assert refused is not None
    assert refused.code.name == "SharedKeyInsufficientKudos"
    price = hundredths(price_of(world, 2))
    assert world.hoard.inline.kudos.balance(key) == Balance(held=price)
    assert world.hoard.inline.kudos.balance(owner).held == price
    ledger.requests.cancel(first)
    assert world.hoard.inline.kudos.balance(key) == Balance()
    asked(world, owner, 2, shared_key_id=key)
    world.deliver(world.pop())
    assert world.hoard.inline.kudos.balance(key) == Balance(burnt=price)
    assert verified(world)


def test_a_shared_key_that_is_empty_over_or_too_small_is_refused(world: ViewWorld) -> None:
    ledger, now = world.hoard.ledger, world.hoard.clock.now()

    def refused_with(limits: KeyLimits, name: str) -> str:
        owner = open_account(world.hoard, name, 1000)
        key = issue_key(world.hoard, owner, limits)
        refused = refusal_of(ledger.requests.submit, request_of(owner, shared_key_id=key))
        return "" if refused is None else refused.code.name

    assert refused_with(KeyLimits(kudos=0), "a") == "SharedKeyEmpty"
    assert refused_with(KeyLimits(kudos=1), "b") == "SharedKeyInsufficientKudos"
    assert refused_with(KeyLimits(ends_at=now), "c") == "SharedKeyExpired"
    assert refused_with(KeyLimits(ends_at=now + timedelta(seconds=1)), "d") == ""
    pixels = SETTINGS.pixels
    assert refused_with(KeyLimits(max_image_pixels=pixels - 1), "e") == "SharedKeyInsufficientKudos"
    assert refused_with(KeyLimits(max_image_steps=29), "f") == "SharedKeyInsufficientKudos"
    assert refused_with(KeyLimits(max_image_pixels=pixels, max_image_steps=30), "g") == ""
    stranger = open_account(world.hoard, "stranger", 1000)
    key = issue_key(world.hoard, open_account(world.hoard, "h"), KeyLimits())
    refused = refusal_of(ledger.requests.submit, request_of(stranger, shared_key_id=key))
    assert refused is not None
    assert refused.code.name == "SharedKeyInvalid"


def test_kudos_are_sent_but_not_those_that_are_held(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    sender, receiver = (open_account(world.hoard, name, 100) for name in ("one", "two"))
    asked(world, sender, 2)
    left = available(world.hoard, sender)
    refused = refusal_of(ledger.kudos.transfer, sender, receiver, left + 0.01)
    assert refused is not None
    assert (refused.code.name, refused.details) == ("KudosTransferNotEnough", {"kudos": left})
    assert ledger.kudos.transfer(sender, receiver, left) == left
    assert available(world.hoard, sender) == 0
    assert available(world.hoard, receiver) == pytest.approx(100 + left)
    assert verified(world)


def test_transfers_that_make_no_sense_are_refused(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    one, two = (open_account(world.hoard, name, 100) for name in ("one", "two"))
    flagged = open_account(world.hoard, "flagged", 100, Roles(flagged=True))
    closed = open_account(world.hoard, "closed", 100)
    account: Account = ledger.repository.get(closed)
    account.delete(by=one, timestamp=world.hoard.clock.now())
    ledger.save(account)
    cases = {
        (ANONYMOUS_ID, one, 1.0): "KudosTransferFromAnon",
        (one, ANONYMOUS_ID, 1.0): "KudosTransferToAnon",
        (one, one, 1.0): "KudosTransferToSelf",
        (one, two, 0.0): "InvalidKudosTransferAmount",
        (one, two, 0.004): "InvalidKudosTransferAmount",
        (one, two, -1.0): "NegativeKudosTransfer",
        (one, UUID(int=5), 1.0): "UserNotFound",
        (one, closed, 1.0): "DeletedUser",
        (closed, one, 1.0): "DeletedUser",
        (flagged, one, 1.0): "SourceAccountFlagged",
        (one, flagged, 1.0): "TargetAccountFlagged",
    }
    for (sender, receiver, kudos), code in cases.items():
        refused = refusal_of(ledger.kudos.transfer, sender, receiver, kudos)
        assert refused is not None
        assert refused.code.name == code
    assert available(world.hoard, one) == 100


def test_kudos_do_not_go_back_within_a_minute(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    one, two = (open_account(world.hoard, name, 100) for name in ("one", "two"))
    three = open_account(world.hoard, "three")
    ledger.kudos.transfer(one, two, 1)
    ledger.kudos.transfer(one, two, 1)
    ledger.kudos.transfer(two, three, 1)
    world.clock.advance(timedelta(seconds=59))
    refused = refusal_of(ledger.kudos.transfer, two, one, 1)
    assert refused is not None
    assert refused.code.name == "TooFastKudosTransfers"
    world.clock.advance(timedelta(seconds=1))
    ledger.kudos.transfer(two, one, 1)
    assert available(world.hoard, one) == 99
    assert verified(world)


def awarded(world: ViewWorld, receiver_id: UUID, by: UUID) -> float:
    """Award a kudo as every caller of the ledger does: rights first."""
    actor = world.hoard.inline.directory.account(by)
    require_may_award(ANONYMOUS if actor is None else actor)
    return world.hoard.ledger.kudos.award(receiver_id, 1, by=by, reason="")


def test_awards_come_from_admins_and_take_no_more_than_there_is(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    admin = open_account(world.hoard, "admin", roles=Roles(admin=True))
    moderator = open_account(world.hoard, "moderator", roles=Roles(moderator=True))
    other = open_account(world.hoard, "other")
    assert ledger.kudos.award(other, 50, by=admin, reason="thanks") == 50
    asked(world, other, 1)
    left = available(world.hoard, other)
    assert 0 < left < 50
    assert ledger.kudos.award(other, -1000, by=admin, reason="a mistake") == -left
    assert available(world.hoard, other) == 0
    for by, to, code in (
        (moderator, other, "NotAllowedAwards"),
        (ANONYMOUS_ID, other, "NotAllowedAwards"),
        (admin, ANONYMOUS_ID, "KudosAwardToAnon"),
        (admin, UUID(int=5), "UserNotFound"),
    ):
        refused = refusal_of(awarded, world, to, by)
        assert refused is not None
        assert refused.code.name == code
    assert verified(world)


def test_entries_are_folded_and_no_balance_changes(world: ViewWorld) -> None:
    payer = open_account(world.hoard, "payer", 10_000)
    key = issue_key(world.hoard, payer, KeyLimits())
    for _ in range(5):
        asked(world, payer, 2, shared_key_id=key)
        world.deliver(world.pop())
    holders = (payer, key, world.owner_id)
    before = [world.hoard.inline.kudos.balance(holder) for holder in holders]
    assert rows(world, KUDOS_ENTRY) > 10
    assert fold_balances(world.hoard.inline.kudos) == len(holders)
    assert rows(world, KUDOS_ENTRY) == 0
    assert [world.hoard.inline.kudos.balance(holder) for holder in holders] == before
    assert verified(world)
    asked(world, payer, 2)
    assert verified(world)


def test_a_payer_folds_its_own_entries_where_no_sweep_does(world: ViewWorld) -> None:
    payer = open_account(world.hoard, "payer", 10_000)
    most = 0
    for _ in range(120):
        world.hoard.ledger.requests.cancel(asked(world, payer))
        most = max(most, rows(world, KUDOS_ENTRY))
    assert 100 < most < 110
    assert available(world.hoard, payer) == 10_000
    assert verified(world)


def test_a_wrong_balance_is_found_and_put_right(world: ViewWorld) -> None:
    payer = open_account(world.hoard, "payer", 100)
    fold_balances(world.hoard.inline.kudos)
    asked(world, payer)
    with world.hoard.storage.ledger_database.transaction() as connection:
        wrong = update(KUDOS_BALANCE).where(KUDOS_BALANCE.c.holder_id == payer)
        connection.execute(wrong.values(burnt=1))
    log, database = world.hoard.storage.log, world.hoard.storage.ledger_database
    (difference,) = verify(world.hoard.inline.kudos, log, database).differences
    assert difference == f"kudos_balance {payer}: burnt is 1 and should be 0"
    rebuild(world.hoard.inline.kudos, log, database)
    assert verified(world)
    assert rows(world, KUDOS_ENTRY) == 0
    assert available(world.hoard, payer) == pytest.approx(100 - price_of(world, 1))


def earn(world: ViewWorld, kudos: float) -> None:
    """Let the owner's worker make images until its owner has earned so many kudos."""
    while kudos_from(world.hoard.inline.kudos.balance(world.owner_id).earned) < kudos:
        world.submit(20, side=1024)
        world.deliver(world.pop())
    fold_balances(world.hoard.inline.kudos)


@pytest.fixture(params=["sqlite", "postgresql"])
def trusting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ViewWorld]:
    """A Hoard that trusts for 500 kudos of work, on SQLite files, and once more on PostgreSQL."""
    on_postgresql = request.param == "postgresql"
    ledger_url = request.getfixturevalue("postgres_url") if on_postgresql else None
    made = ViewWorld(tmp_path, ledger_url, trust_kudos=500)
    yield made
    made.close()


def trust_given(world: ViewWorld) -> int:
    allowances = allowances_of(world.hoard.settings)
    return give_trust(
        world.hoard.inline.kudos, world.hoard.ledger.kudos, allowances, world.clock.now()
    )


def is_trusted(world: ViewWorld) -> bool:
    entry = world.hoard.inline.directory.account(world.owner_id)
    assert entry is not None
    return entry.roles.trusted


def set_roles(world: ViewWorld, roles: Roles) -> None:
    account: Account = world.hoard.ledger.repository.get(world.owner_id)
    account.change_roles(roles, by=None, timestamp=world.clock.now())
    world.hoard.ledger.save(account)


def test_sustained_good_work_is_trusted_by_itself(trusting: ViewWorld) -> None:
    world = trusting
    account_id = open_account(world.hoard, "diligent")
    world.owner_id = account_id
    earn(world, 500)
    assert trust_given(world) == 0
    world.clock.advance(timedelta(days=7))
    assert trust_given(world) == 1
    assert is_trusted(world)
    assert trust_given(world) == 0


def test_trust_that_was_taken_does_not_come_back_by_itself(trusting: ViewWorld) -> None:
    world = trusting
    earn(world, 500)
    world.clock.advance(timedelta(days=8))
    set_roles(world, Roles())
    assert trust_given(world) == 0
    assert not is_trusted(world)
    set_roles(world, Roles(flagged=True))
    assert trust_given(world) == 0


def test_what_a_request_costs_in_statements(world: ViewWorld) -> None:
    """Anonymous pays nothing for kudos; who pays, a handful, however many entries there are."""
    payer = open_account(world.hoard, "payer", 10_000)
    asked(world, payer)
    asked(world, ANONYMOUS_ID)
    anonymous = cost_of_asking(world, ANONYMOUS_ID)
    assert [each for each in anonymous if "kudos_" in each] == []
    registered = cost_of_asking(world, payer)
    assert len(registered) - len(anonymous) == 3  # the lock, what is there, and what is held
    with world.hoard.storage.ledger_database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(OPEN_REQUEST)).scalar_one() == 4


def cost_of_asking(world: ViewWorld, account_id: UUID) -> list[str]:
    database = world.hoard.storage.ledger_database
    with database.transaction() as connection, statements_of(connection) as seen:
        asked(world, account_id)
    return [each for each in seen if "personal_key" not in each]
