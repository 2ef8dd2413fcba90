"""What is refused of those who lend out keys."""

from __future__ import annotations

from infrastructure.keys.api_keys import digest_of
from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


def lent(api: Api, **fields: object) -> str:
    """Return a shared key of the account ``lender``."""
    return str(api.call("PUT", "/sharedkeys", key=api.key("lender"), json=fields).body["id"])


@provokes("InvalidAPIKey")
def shared_key_that_nobody_lent(api: Api) -> Answered:
    return api.call("GET", "/sharedkeys/11111111-1111-4111-8111-111111111111")


@provokes("InvalidAPIKey")
def shared_key_that_was_taken_back(api: Api) -> Answered:
    key = lent(api)
    api.call("DELETE", f"/sharedkeys/{key}", key=api.key("lender"))
    return api.call("GET", f"/sharedkeys/{key}")


@provokes("SharedKeyInvalid")
def shared_key_that_was_taken_back_by_another_process(api: Api) -> Answered:
    key = lent(api)
    api.asked(key)
    entry = api.hoard.inline.directory.shared_key_by_digest(digest_of(key))
    assert entry is not None
    api.hoard.ledger.shared_keys.revoke(entry.shared_key_id)
    return api.ask(key)


@provokes("NoSharedKeyModSelected")
def nothing_about_a_shared_key(api: Api) -> Answered:
    return api.call("PATCH", f"/sharedkeys/{lent(api)}", key=api.key("lender"), json={})


@provokes("Forbidden")
def somebody_elses_shared_key(api: Api) -> Answered:
    return api.call("DELETE", f"/sharedkeys/{lent(api)}", key=api.key("another"))


@provokes("Forbidden")
def change_of_somebody_elses_shared_key(api: Api) -> Answered:
    key = lent(api)
    return api.call("PATCH", f"/sharedkeys/{key}", key=api.key("another"), json={"name": "mine"})
