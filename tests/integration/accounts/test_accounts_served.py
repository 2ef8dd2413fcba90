"""Accounts through HTTP: registered, told, changed, deleted, and what each may see."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.sealing import Forgotten
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import Api, serving


@pytest.fixture
def api(followed_api: Api) -> Api:
    return followed_api


def details(api: Api, name: str, viewer: str | None = None) -> Any:
    number = api.call("GET", "/find_user", key=api.key(name)).body["id"]
    key = None if viewer is None else api.key(viewer)
    answered = api.call("GET", f"/users/{number}", key=key)
    assert answered.status == 200, answered
    return answered.body


def change(api: Api, name: str, by: str, **fields: object) -> Any:
    number = details(api, name)["id"]
    answered = api.call("PUT", f"/users/{number}", key=api.key(by), json=fields)
    assert answered.status == 200, answered
    return answered.body


def test_an_account_s_details_tell_what_it_asked_for_and_made(api: Api) -> None:
    api.asked(api.key("asker"), n=2)
    mine = details(api, "asker", "asker")
    assert len(mine["active_generations"]["image"]) == 1
    job = api.popped()
    api.deliver(job["ids"])

    requester, owner = details(api, "asker", "asker"), details(api, "owner", "owner")
    assert requester["usage"]["requests"] == 1
    assert requester["usage"]["megapixelsteps"] == owner["contributions"]["megapixelsteps"] > 0
    assert owner["contributions"]["fulfillments"] == 2
    assert owner["records"]["fulfillment"]["image"] == requester["records"]["request"]["image"] == 2
    assert owner["kudos"] == owner["kudos_details"]["accumulated"] > 0
    assert owner["worker_count"] == 1
    assert owner["worker_ids"] == [api.call("GET", "/workers").body[0]["id"]]
    assert requester["active_generations"]["image"] == []
    assert requester["username"] == f"asker#{requester['id']}"


def test_each_sees_as_much_as_is_for_them(api: Api) -> None:
    api.pop()
    api.key("mod", moderator=True)
    change(api, "owner", "owner", contact="owner@example.com")
    change(api, "owner", "mod", admin_comment="a good one")
    everybody, owner, mod = (details(api, "owner", who) for who in (None, "owner", "mod"))
    assert not {"contact", "worker_ids", "sharedkey_ids", "admin_comment"} & set(everybody)
    assert set(owner) - set(everybody) >= {"contact", "worker_ids", "active_generations"}
    assert set(mod) - set(owner) == {
        "admin_comment",
        "deleted",
        "evaluating_kudos",
        "suspicious",
    }
    assert (owner["contact"], mod["contact"]) == ("owner@example.com", "owner@example.com")
    assert mod["admin_comment"] == "a good one"
    assert details(api, "owner", "another").keys() == everybody.keys()

    change(api, "owner", "owner", public_workers=True)
    assert details(api, "owner")["worker_ids"] == owner["worker_ids"]


def test_moderators_give_roles_and_admins_make_moderators(api: Api) -> None:
    api.key("mod", moderator=True)
    api.key("admin", admin=True)
    changed = change(
        api, "somebody", "mod", trusted=True, vpn=True, concurrency=7, worker_invited=2
    )
    assert changed == {"trusted": True, "vpn": True, "concurrency": 7, "worker_invited": 2}
    assert change(api, "somebody", "admin", moderator=True) == {"moderator": True}
    told = details(api, "somebody", "mod")
    assert (told["trusted"], told["moderator"], told["vpn"]) == (True, True, True)
    assert (told["concurrency"], told["worker_invited"]) == (7, 2)
    assert change(api, "somebody", "admin", kudos=12.5)["new_kudos"] == 12.5
    assert details(api, "somebody")["kudos_details"]["awarded"] == 12.5


def test_a_change_counts_at_once_whoever_remembered_the_account(api: Api) -> None:
    key = api.key("somebody")
    api.key("admin", admin=True)
    change(api, "another", "another", contact="me@example.com")
    assert "contact" not in details(api, "another", "somebody")
    change(api, "somebody", "admin", moderator=True)
    assert details(api, "another", "somebody")["contact"] == "me@example.com"
    assert api.call("GET", "/operations/ipaddr", key=key).status == 200


def test_a_moderator_cannot_change_an_admin(api: Api) -> None:
    api.key("mod", moderator=True)
    number = api.call("GET", "/find_user", key=api.key("admin", admin=True)).body["id"]
    answered = api.call("PUT", f"/users/{number}", key=api.key("mod"), json={"flagged": True})
    assert answered.rc == "NotAdmin"


def test_an_account_renames_itself_and_keeps_its_number(api: Api) -> None:
    number = details(api, "somebody")["id"]
    changed = change(api, "somebody", "somebody", username="Somebody Else")
    assert changed == {"username": f"Somebody Else#{number}"}
    assert details(api, "somebody")["username"] == f"Somebody Else#{number}"


def test_a_deleted_account_is_forgotten_and_can_be_opened_again(api: Api) -> None:
    key = api.key("somebody")
    number = details(api, "somebody")["id"]
    change(api, "somebody", "somebody", contact="me@example.com")
    request_id = api.asked(key)
    account = api.hoard.inline.directory.account_by_number(number)
    assert account is not None
    sealed = api.hoard.inline.directory.notes_on(account.account_id).contact
    assert sealed is not None
    assert api.call("DELETE", f"/users/{number}", key=key).body == {"message": "OK"}

    assert api.ask(key).rc == "DeletedUser"
    assert api.call("GET", f"/users/{number}").rc == "UserNotFound"
    assert api.pop().body["id"] is None, "a prompt that is forgotten was given away"
    assert api.check(request_id)["waiting"] == 0
    with pytest.raises(Forgotten):
        api.hoard.secrets.personal_keys.open(sealed)

    mod = api.key("mod", moderator=True)
    assert api.call("GET", f"/users/{number}", key=mod).body["deleted"] is True
    restored = api.call("PUT", f"/users/{number}", key=mod, json={"undelete": True})
    assert restored.body == {"undeleted": True}
    assert "contact" not in api.call("GET", f"/users/{number}").body
    assert api.call("GET", "/find_user", key=key).body["contact"] is None
    assert api.ask(key).status == 202


def test_accounts_are_listed_by_kudos_and_by_age(api: Api) -> None:
    for name in ("first", "second", "third"):
        api.key(name)
    api.key("admin", admin=True)
    change(api, "second", "admin", kudos=50)
    change(api, "third", "admin", kudos=10)
    richest = [each["username"].partition("#")[0] for each in api.call("GET", "/users").body]
    assert richest == ["second", "third", "first", "admin"]
    oldest = api.call("GET", "/users?sort=age").body
    assert [each["id"] for each in oldest] == sorted(each["id"] for each in oldest)
    assert api.call("GET", "/users?page=2").body == []
    api.call("DELETE", f"/users/{details(api, 'third')['id']}", key=api.key("third"))
    assert len(api.call("GET", "/users").body) == 3


def test_a_page_is_sorted_by_the_kudos_that_it_shows_while_its_view_lags(api: Api) -> None:
    for name in ("first", "second"):
        api.key(name)
    api.key("admin", admin=True)
    details(api, "first")
    api.follow = False
    change(api, "second", "admin", kudos=50)
    shown = [each["kudos"] for each in api.call("GET", "/users").body]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == 50


def test_anonymous_is_told_too(api: Api) -> None:
    api.asked()
    told = api.call("GET", "/users/0").body
    assert (told["username"], told["usage"]["requests"]) == ("Anonymous#0", 1)
    assert api.call("GET", "/find_user", key=ANONYMOUS_KEY).body["id"] == 0


@pytest.mark.parametrize("number", ["-1", "one", "1" * 30, "1" * 5000, "9223372036854775807"])
def test_what_is_no_number_of_an_account_is_not_found(tmp_path: Path, number: str) -> None:
    with serving(tmp_path) as api:
        assert api.call("GET", f"/users/{number}").rc == "UserNotFound"


def test_a_registered_account_asks_with_the_key_that_it_is_shown(api: Api) -> None:
    response = api.http.post("/api/native/accounts", json={"username": "newcomer"})
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    key = response.json()["api_key"]
    assert len(key) == 22
    found = api.call("GET", "/find_user", key=key).body
    assert found["username"] == response.json()["username"]
    assert api.ask(key).status == 202


def test_another_key_takes_the_old_one_s_place_at_once(api: Api) -> None:
    old = api.key("somebody")
    assert api.call("GET", "/find_user", key=old).status == 200
    response = api.http.post("/api/native/accounts/key", headers={"apikey": old})
    new = response.json()["api_key"]
    assert api.call("GET", "/find_user", key=old).rc == "UserNotFound"
    assert api.ask(old).rc == "InvalidAPIKey"
    assert api.call("GET", "/find_user", key=new).body["username"] == response.json()["username"]


def form(api: Api, path: str, **fields: str) -> Any:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return api.http.post(path, content=urlencode(fields), headers=headers)


def test_the_page_opens_an_account_and_shows_its_key(api: Api) -> None:
    assert "<form" in api.http.get("/register").text
    shown = form(api, "/register", username="<b>newcomer</b>", contact="me@example.com")
    assert shown.status_code == 200
    assert "<b>newcomer" not in shown.text
    (key,) = re.findall(r"<code>([\w-]{22})</code>", shown.text)
    assert api.call("GET", "/find_user", key=key).body["contact"] == "me@example.com"
    (another,) = re.findall(
        r"<code>([\w-]{22})</code>", form(api, "/register/key", apikey=key).text
    )
    assert api.call("GET", "/find_user", key=another).status == 200
    assert form(api, "/register/key", apikey=key).status_code == 401


def test_robots_are_refused_on_the_page(tmp_path: Path) -> None:
    with serving(tmp_path, registrations_per_hour=2) as api:
        assert form(api, "/register", username="robot", website="https://spam").status_code == 403
        assert form(api, "/register", username="n" * 31).status_code == 400
        statuses = [form(api, "/register", username="robot").status_code for _ in range(3)]
        assert statuses == [200, 200, 403]
        api.clock.advance(timedelta(hours=1))
        assert form(api, "/register", username="robot").status_code == 200
        assert len(api.hoard.inline.directory.accounts(after=0, limit=10)) == 3


def test_kudos_are_sent_once_and_to_whom_they_are_meant(api: Api) -> None:
    api.key("admin", admin=True)
    receiver = details(api, "receiver")["username"]
    body = {"username": details(api, "sender")["username"], "amount": 100}
    awarded = api.call("POST", "/kudos/award", key=api.key("admin"), json=body)
    assert awarded.body == {"awarded": 100.0}
    for _ in range(2):
        sent = api.call(
            "POST",
            "/kudos/transfer",
            key=api.key("sender"),
            json={"username": receiver, "amount": 30},
            headers={"Idempotency-Key": "once"},
        )
        assert sent.body == {"transferred": 30.0}
    sender = details(api, "sender")
    assert (sender["kudos"], sender["kudos_details"]["gifted"]) == (70.0, -30.0)
    assert details(api, "receiver")["kudos_details"]["received"] == 30.0
    wrong = {"username": "wrong name#" + receiver.partition("#")[2], "amount": 1}
    refused = api.call("POST", "/kudos/transfer", key=api.key("sender"), json=wrong)
    assert (refused.status, refused.rc) == (400, "InvalidTargetUsername")
