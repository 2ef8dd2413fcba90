"""What is refused of those who lend out keys."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


def lent(api: Api, **fields: object) -> str:
    """Return a shared key of the account ``lender``."""
    return str(api.call("PUT", "/sharedkeys", key=api.key("lender"), json=fields).body["id"])


@provokes("SharedKeyInvalid")
def shared_key_that_nobody_lent(api: Api) -> Answered:
    return api.call("GET", "/sharedkeys/11111111-1111-4111-8111-111111111111")


@provokes("SharedKeyInvalid")
def shared_key_that_was_taken_back(api: Api) -> Answered:
    key = lent(api)
    api.call("DELETE", f"/sharedkeys/{key}", key=api.key("lender"))
    return api.call("GET", f"/sharedkeys/{key}")


@provokes("NoSharedKeyModSelected")
def nothing_about_a_shared_key(api: Api) -> Answered:
    return api.call("PATCH", f"/sharedkeys/{lent(api)}", key=api.key("lender"), json={})


@provokes("NotOwner")
def somebody_elses_shared_key(api: Api) -> Answered:
    return api.call("DELETE", f"/sharedkeys/{lent(api)}", key=api.key("another"))
