"""What is refused of those who send and award kudos, or ask for images with a shared key."""

from __future__ import annotations

from datetime import timedelta

from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes
from tests.integration.codes.shared_keys import lent


def handle(api: Api, name: str) -> str:
    """Return ``name#number`` of an account, opening it if need be."""
    api.key(name)
    entry = api.hoard.inline.directory.account_by_name(name)
    assert entry is not None
    return entry.handle


def given(api: Api, name: str, kudos: float, **roles: bool) -> str:
    """Give an account kudos out of nowhere and return its API key."""
    key = api.key(name, **roles)
    entry = api.hoard.inline.directory.account_by_name(name)
    assert entry is not None
    api.hoard.ledger.kudos.award(entry.account_id, kudos, by=None, reason="a start")
    return key


def send(api: Api, key: str, to: str, kudos: float = 1) -> Answered:
    """Transfer kudos."""
    body = {"username": to, "amount": kudos}
    return api.call("POST", "/kudos/transfer", key=key, json=body)


@provokes("KudosTransferFromAnon")
def kudos_of_anonymous(api: Api) -> Answered:
    return send(api, ANONYMOUS_KEY, handle(api, "receiver"))


@provokes("KudosTransferToAnon")
def kudos_for_anonymous(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), "Anonymous#0")


@provokes("KudosTransferToSelf")
def kudos_for_oneself(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), handle(api, "sender"))


@provokes("NegativeKudosTransfer")
def fewer_than_no_kudos(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), handle(api, "receiver"), -5)


@provokes("InvalidKudosTransferAmount")
def no_kudos_at_all(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), handle(api, "receiver"), 0)


@provokes("InvalidTargetUsername")
def kudos_for_nobody(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), "nobody#777", 5)


@provokes("KudosTransferNotEnough")
def more_kudos_than_there_are(api: Api) -> Answered:
    return send(api, given(api, "sender", 10), handle(api, "receiver"), 11)


@provokes("TooFastKudosTransfers")
def kudos_at_once_back(api: Api) -> Answered:
    there = send(api, given(api, "sender", 10), handle(api, "receiver"), 5)
    assert there.status == 200, there
    return send(api, api.key("receiver"), handle(api, "sender"), 5)


@provokes("SourceAccountFlagged")
def kudos_of_a_flagged_account(api: Api) -> Answered:
    return send(api, given(api, "sender", 10, flagged=True), handle(api, "receiver"))


@provokes("TargetAccountFlagged")
def kudos_for_a_flagged_account(api: Api) -> Answered:
    api.key("receiver", flagged=True)
    return send(api, given(api, "sender", 10), handle(api, "receiver"))


def award(api: Api, key: str, to: str) -> Answered:
    """Award a kudos."""
    body = {"username": to, "amount": 1}
    return api.call("POST", "/kudos/award", key=key, json=body)


@provokes("NotAllowedAwards")
def award_by_a_moderator(api: Api) -> Answered:
    return award(api, api.key("moderator", moderator=True), handle(api, "receiver"))


@provokes("InvalidAwardUsername")
def award_for_nobody(api: Api) -> Answered:
    return award(api, api.key("admin", admin=True), "nobody#77")


@provokes("KudosAwardToAnon")
def award_for_anonymous(api: Api) -> Answered:
    return award(api, api.key("admin", admin=True), "Anonymous#0")


@provokes("SharedKeyEmpty")
def shared_key_without_kudos(api: Api) -> Answered:
    given(api, "lender", 1000)
    return api.ask(lent(api, kudos=0))


@provokes("SharedKeyExpired")
def shared_key_after_its_end(api: Api) -> Answered:
    key = lent(api, expiry=1)
    api.clock.advance(timedelta(days=2))
    return api.ask(key)


@provokes("SharedKeyInsufficientKudos")
def shared_key_with_too_few_kudos(api: Api) -> Answered:
    given(api, "lender", 1000)
    return api.ask(lent(api, kudos=5), n=4)


@provokes("SharedKeyInsufficientKudos")
def shared_key_for_smaller_images(api: Api) -> Answered:
    return api.ask(lent(api, max_image_pixels=512 * 448))
