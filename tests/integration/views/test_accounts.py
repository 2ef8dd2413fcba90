"""The view of accounts: what each asked for and made, and how many kudos came of it."""

from __future__ import annotations

from sqlalchemy import func, select

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Requirements
from projections.accounts.reader import AccountOrder, AccountRecord
from projections.accounts.tables import ACCOUNT_OPEN_JOB, ACCOUNT_OPEN_REQUEST, ACCOUNT_RECORD
from projections.following.rebuild import verify
from tests.view_world import ViewWorld

PIXELSTEPS = 20 * 512 * 512


def test_what_was_asked_for_and_made_is_counted(world: ViewWorld) -> None:
    ledger, accounts = world.hoard.ledger, world.hoard.views.accounts
    requester = ledger.accounts.open("asker", "1" * 64, Roles())
    ledger.kudos.award(requester, 1000, by=None, reason="to begin with")
    request_id, _ = ledger.requests.submit(
        SubmitRequest(
            Requester(requester),
            RequestSpecification(
                prompt="a red square",
                negative_prompt="",
                settings=ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1),
                requirements=Requirements((), 512 * 512, False, False, True, False),
                images=3,
            ),
        )
    )
    world.follow()
    assert accounts.open_requests(requester, 10) == [request_id]
    world.deliver(world.pop())
    world.submit(1)
    world.deliver(world.pop())
    world.follow()

    assert accounts.open_requests(requester, 10) == []
    assert accounts.record(requester) == AccountRecord(requester, 1, 3, 3 * PIXELSTEPS)
    assert accounts.record(ANONYMOUS_ID) == AccountRecord(ANONYMOUS_ID, 1, 1, PIXELSTEPS)
    made = accounts.record(world.owner_id)
    assert (made.images_made, made.pixelsteps_made, made.requests) == (4, 4 * PIXELSTEPS, 0)
    for account_id in (requester, world.owner_id):
        with world.hoard.storage.view_database.reading() as connection:
            found = select(ACCOUNT_RECORD.c.kudos).where(ACCOUNT_RECORD.c.account_id == account_id)
            kudos = connection.execute(found).scalar_one()
        assert kudos == world.hoard.inline.kudos.balance(account_id).amount
    with world.hoard.storage.view_database.reading() as connection:
        for table in (ACCOUNT_OPEN_JOB, ACCOUNT_OPEN_REQUEST):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_it_follows_from_the_log_in_whatever_portions(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    account = world.owner_id
    for place in range(4):
        account = ledger.accounts.open(f"account {place}", str(place + 1) * 64, Roles())
        ledger.kudos.award(account, 10 * place, by=None, reason="to begin with")
        world.submit(2)
        world.follow()
    world.deliver(world.pop(), 0)
    ledger.kudos.transfer(account, world.owner_id, 30)
    ledger.accounts.delete(account, by=None)
    world.submit(1)
    world.follow()
    (follower,) = [each for each in world.hoard.views.followers if each.view.name == "accounts"]
    assert verify(follower.view, world.hoard.storage.log, world.hoard.storage.view_database).holds
    assert account not in world.hoard.views.accounts.page(AccountOrder.KUDOS, 1)
    assert world.hoard.views.accounts.page(AccountOrder.KUDOS, 1)[0] == world.owner_id
