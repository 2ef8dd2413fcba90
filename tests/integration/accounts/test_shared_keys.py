"""Shared keys through HTTP: lent, used, limited, and taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.integration.api_client import Api


@pytest.fixture
def api(followed_api: Api) -> Api:
    lender = followed_api.key("lender")
    hoard = followed_api.hoard
    account = hoard.inline.directory.account_by_name("lender")
    assert account is not None
    hoard.ledger.kudos.award(account.account_id, 1000, by=None, reason="to begin with")
    assert lender
    return followed_api


def lend(api: Api, **fields: object) -> Any:
    answered = api.call("PUT", "/sharedkeys", key=api.key("lender"), json=fields)
    assert answered.status == 200, answered
    return answered.body


def told(api: Api, key: str) -> Any:
    answered = api.call("GET", f"/sharedkeys/{key}")
    assert answered.status == 200, answered
    return answered.body


def test_a_shared_key_is_shown_once_and_found_by_its_public_id(api: Api) -> None:
    made = lend(api, name="for a friend", expiry=2, max_image_steps=30)
    key = made["id"]
    assert str(UUID(key)) == key
    assert made["username"].startswith("lender#")
    assert (made["kudos"], made["utilized"], made["max_image_steps"]) == (5000, 0, 30)
    assert (made["max_image_pixels"], made["max_text_tokens"]) == (-1, -1)
    assert made["expiry"].startswith(str((api.clock.now() + timedelta(days=2)).date()))

    (public_id,) = api.call("GET", "/find_user", key=api.key("lender")).body["sharedkey_ids"]
    assert public_id != key
    assert told(api, public_id) == made | {"id": public_id}
    assert told(api, key) == made


def test_who_has_it_asks_in_its_owner_s_name_and_for_its_kudos(api: Api) -> None:
    key = lend(api, kudos=100, name="for a friend")["id"]
    found = api.call("GET", "/find_user", key=key).body
    assert found["username"].endswith("(Shared Key: for a friend)")
    assert "contact" not in found
    assert api.ask(key).status == 202
    used = told(api, key)
    assert used["utilized"] > 0
    assert used["kudos"] in (100 - used["utilized"], 99 - used["utilized"])
    assert len(
        api.call("GET", "/find_user", key=api.key("lender")).body["active_generations"]["image"]
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/sharedkeys", {}),
        ("PUT", "/users/1", {"username": "stolen"}),
        ("DELETE", "/users/1", None),
        ("POST", "/kudos/transfer", {"username": "other#2", "amount": 5}),
        ("PUT", "/status/modes", {"raid_mode": True}),
    ],
)
def test_it_opens_nothing_else(api: Api, method: str, path: str, body: Any) -> None:
    key = lend(api)["id"]
    assert api.call(method, path, key=key, json=body).rc == "InvalidAPIKey"
    assert api.pop(key).rc == "InvalidAPIKey"


def test_its_limits_hold(api: Api) -> None:
    key = lend(api, kudos=0)["id"]
    assert api.ask(key).rc == "SharedKeyEmpty"
    path = f"/sharedkeys/{key}"
    changed = api.call(
        "PATCH", path, key=api.key("lender"), json={"kudos": 50, "max_image_pixels": 4096}
    )
    assert (changed.body["kudos"], changed.body["max_image_pixels"]) == (50, 4096)
    assert api.ask(key).rc == "SharedKeyInsufficientKudos"
    api.call("PATCH", path, key=api.key("lender"), json={"max_image_pixels": -1, "expiry": 1})
    assert api.ask(key).status == 202
    api.clock.advance(timedelta(days=1))
    assert api.ask(key).rc == "SharedKeyExpired"


def test_more_kudos_are_added_to_what_was_spent(api: Api) -> None:
    key = lend(api, kudos=50)["id"]
    api.asked(key)
    spent = told(api, key)["utilized"]
    changed = api.call(
        "PATCH", f"/sharedkeys/{key}", key=api.key("lender"), json={"kudos": 20, "name": "a friend"}
    ).body
    assert (changed["kudos"], changed["name"]) == (20, "a friend")
    assert changed["utilized"] == spent > 0


def test_it_is_taken_back_at_once(api: Api) -> None:
    key = lend(api)["id"]
    assert api.ask(key).status == 202
    assert api.call("DELETE", f"/sharedkeys/{key}", key=api.key("lender")).status == 200
    assert api.ask(key).rc == "InvalidAPIKey"
    assert api.call("GET", "/find_user", key=api.key("lender")).body["sharedkey_ids"] == []


def test_there_is_an_end_to_how_many_an_account_lends(api: Api) -> None:
    for _ in range(100):
        lend(api)
    assert api.call("PUT", "/sharedkeys", key=api.key("lender"), json={}).rc == "Forbidden"
