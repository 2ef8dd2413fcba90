"""Accounts and kudos through horde-sdk: who somebody is, what they have, and what they give."""

from __future__ import annotations

from horde_sdk.ai_horde_api.ai_horde_clients import AIHordeAPIManualClient
from horde_sdk.ai_horde_api.apimodels import (
    DeleteImageGenerateRequest,
    FindUserRequest,
    ImageGenerateAsyncRequest,
    ImageGenerationInputPayload,
    KudosTransferRequest,
    ListUsersDetailsRequest,
    ModifyUserRequest,
    SingleUserDetailsRequest,
    UserDetailsResponse,
)
from horde_sdk.ai_horde_api.consts import RC

from tests.compatibility.driven import drives
from tests.compatibility.sdk_worker import SdkWorker, refused, sent
from tests.compatibility.server import Server
from tests.waiting import wait_until


def found(key: str) -> UserDetailsResponse:
    """Return what the SDK finds out about the account of a key."""
    user = sent(FindUserRequest(apikey=key))
    assert isinstance(user, UserDetailsResponse)
    return user


def given_kudos(server: Server, key: str, kudos: float) -> UserDetailsResponse:
    """Give an account kudos as an admin may, wait until it has them, and return it."""
    admin = server.key("an admin", admin=True, moderator=True)
    user_id = str(found(key).id_)
    sent(ModifyUserRequest(apikey=admin, user_id=user_id, kudos=kudos))
    wait_until(lambda: (found(key).kudos or 0) >= kudos, "the kudos to arrive")
    return found(key)


@drives(FindUserRequest, SingleUserDetailsRequest)
def test_a_user_is_found_by_key_and_by_number(server: Server) -> None:
    key = server.key("alice", trusted=True)
    user = found(key)
    assert user.username == f"alice#{user.id_}"
    assert user.trusted
    assert not user.moderator
    assert user.concurrency
    assert user.account_age is not None
    assert user.worker_count == 0
    assert user.kudos_details is not None
    assert user.records is not None
    by_number = sent(SingleUserDetailsRequest(user_id=str(user.id_)))
    assert by_number.username == user.username
    assert refused(FindUserRequest(apikey="x" * 22)).rc in {RC.UserNotFound, RC.InvalidAPIKey}
    assert refused(SingleUserDetailsRequest(user_id="999999")).rc == RC.UserNotFound


@drives(FindUserRequest)
def test_anonymous_is_a_user_too(server: Server) -> None:
    assert found("0000000000").username == "Anonymous#0"


@drives(FindUserRequest)
def test_a_user_sees_own_workers_and_what_they_earned(server: Server) -> None:
    worker = SdkWorker(server.key("bella"), "bella's GPU", "Deliberate")
    params = ImageGenerationInputPayload(n=2, width=512, height=512, steps=20)
    sent(ImageGenerateAsyncRequest(prompt="a hat", models=[worker.model], params=params))
    before = found(worker.key).kudos or 0
    worker.serve_one_job()
    wait_until(lambda: (found(worker.key).kudos or 0) > before, "the reward")
    user = found(worker.key)
    assert user.worker_count == 1
    assert user.worker_ids is not None
    assert len(user.worker_ids) == 1
    assert user.kudos_details is not None
    assert user.kudos_details.accumulated
    assert user.contributions is not None


@drives(ListUsersDetailsRequest)
def test_users_are_listed(server: Server) -> None:
    clara, dora = (found(server.key(name)) for name in ("clara", "dora"))
    dora = given_kudos(server, server.key("dora"), 5000)

    def listed(sort: str) -> list[UserDetailsResponse]:
        pages = (sent(ListUsersDetailsRequest(page=page, sort=sort)).root for page in range(1, 5))
        return [user for page in pages for user in page]

    def both_in(sort: str) -> list[UserDetailsResponse] | None:
        """Return all that are listed once both are, and what was given has arrived."""
        users = listed(sort)
        kudos = {user.id_: user.kudos for user in users}
        return users if clara.id_ in kudos and kudos.get(dora.id_) == dora.kudos else None

    richest = wait_until(lambda: both_in("kudos"), "the accounts to be listed")
    assert richest is not None
    amounts = [user.kudos or 0 for user in richest]
    assert amounts == sorted(amounts, reverse=True)
    oldest = wait_until(lambda: both_in("age"), "the accounts to be listed by age")
    assert oldest is not None
    numbers = [user.id_ for user in oldest]
    assert numbers.index(clara.id_) < numbers.index(dora.id_)
    (shown,) = [user for user in oldest if user.id_ == clara.id_]
    assert shown.username == clara.username


@drives(ModifyUserRequest)
def test_a_user_changes_what_is_the_users_own(server: Server) -> None:
    key = server.key("diana")
    user_id = str(found(key).id_)
    changed = sent(
        ModifyUserRequest(apikey=key, user_id=user_id, username="diana the second", contact="d@a.b")
    )
    assert changed.username.startswith("diana the second")
    assert changed.contact == "d@a.b"
    assert found(key).username == f"diana the second#{user_id}"
    trust = ModifyUserRequest(apikey=key, user_id=user_id, trusted=True)
    assert refused(trust).rc in {RC.NotModerator, RC.NotPrivileged, RC.NotAdmin}


@drives(ModifyUserRequest, FindUserRequest)
def test_moderators_and_admins_change_roles_and_kudos(server: Server) -> None:
    key = server.key("emma")
    user = given_kudos(server, key, 500)
    assert user.kudos_details is not None
    assert user.kudos_details.awarded == 500
    moderator = server.key("a moderator of users", moderator=True)
    changed = sent(ModifyUserRequest(apikey=moderator, user_id=str(user.id_), trusted=True))
    assert changed.trusted
    wait_until(lambda: found(key).trusted, "the trust to be seen")


@drives(KudosTransferRequest)
def test_kudos_are_passed_on(server: Server) -> None:
    giver, taker = server.key("flora"), server.key("gerda")
    before = given_kudos(server, giver, 1000)
    to = found(taker).username
    assert to is not None
    passed = sent(KudosTransferRequest(apikey=giver, username=to, amount=250))
    assert passed.transferred == 250
    wait_until(lambda: found(taker).kudos == 250, "the kudos to arrive")
    after = found(giver)
    assert after.kudos == (before.kudos or 0) - 250
    assert after.kudos_details is not None
    assert abs(after.kudos_details.gifted or 0) == 250
    back = KudosTransferRequest(apikey=taker, username=before.username or "", amount=1)
    assert refused(back).rc == RC.TooFastKudosTransfers
    too_much = KudosTransferRequest(apikey=giver, username=to, amount=10_000)
    assert refused(too_much).rc == RC.KudosTransferNotEnough
    anonymously = KudosTransferRequest(apikey="0000000000", username=to, amount=1)
    assert refused(anonymously).rc == RC.KudosTransferFromAnon


@drives(ImageGenerateAsyncRequest, DeleteImageGenerateRequest)
def test_a_shared_key_is_a_key_to_the_sdk(server: Server) -> None:
    """The SDK has no request for shared keys, but takes one as a key: it is a UUID."""
    owner = server.key("hanna")
    given_kudos(server, owner, 1000)
    shared = server.call(
        "PUT", "/sharedkeys", owner, json={"kudos": 500, "name": "for friends", "expiry": 1}
    )
    params = ImageGenerationInputPayload(n=1, width=512, height=512, steps=20)
    asked = sent(
        ImageGenerateAsyncRequest(
            apikey=shared["id"], prompt="a hat", models=["Hoard Scenes"], params=params
        )
    )
    cancelled = AIHordeAPIManualClient().delete_pending_image(asked.id_)
    assert cancelled.generations == []
    described = server.call("GET", f"/sharedkeys/{shared['id']}")
    assert described["username"] == found(owner).username
