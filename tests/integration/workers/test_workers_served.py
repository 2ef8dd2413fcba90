"""Workers through HTTP: listed, told, changed, deleted, written to; and addresses shut out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from tests.integration.api_client import MODEL, Api


@pytest.fixture
def api(followed_api: Api) -> Api:
    followed_api.key("mod", moderator=True)
    return followed_api


def worker(api: Api, viewer: str | None = None, name: str = "a worker") -> Any:
    key = None if viewer is None else api.key(viewer)
    answered = api.call("GET", f"/workers/name/{name}", key=key)
    assert answered.status == 200, answered
    return answered.body


def change(api: Api, by: str, **fields: object) -> Any:
    path = f"/workers/{worker(api)['id']}"
    answered = api.call("PUT", path, key=api.key(by), json=fields)
    assert answered.status == 200, answered
    return answered.body


def test_a_worker_s_details_tell_what_it_declared_and_made(api: Api) -> None:
    api.asked(n=2)
    job = api.popped(threads=3, bridge_agent="test:1:me", nsfw=True)
    api.clock.advance(timedelta(seconds=10))
    api.deliver(job["ids"])
    told = worker(api)
    assert (told["requests_fulfilled"], told["uncompleted_jobs"], told["uptime"]) == (2, 0, 10)
    assert told["kudos_rewards"] == told["kudos_details"]["generated"] > 0
    assert told["performance"].endswith("megapixelsteps per second")
    assert (told["threads"], told["bridge_agent"], told["nsfw"]) == (3, "test:1:me", True)
    assert (told["models"], told["max_pixels"]) == ([MODEL], 2048 * 2048)
    assert (told["type"], told["online"], told["maintenance_mode"]) == ("image", True, False)
    assert told["megapixelsteps_generated"] > 0
    assert api.call("GET", f"/workers/{told['id']}").body == told


def test_each_sees_as_much_as_is_for_them(api: Api) -> None:
    api.pop()
    everybody, owner, mod = worker(api), worker(api, "owner"), worker(api, "mod")
    assert set(owner) - set(everybody) == {"owner", "paused", "messages"}
    assert set(mod) - set(owner) == {"suspicious", "contact"}
    number = api.call("GET", "/find_user", key=api.key("owner")).body["id"]
    api.call("PUT", f"/users/{number}", key=api.key("owner"), json={"public_workers": True})
    assert worker(api)["owner"] == f"owner#{number}"


def test_workers_are_listed_while_they_are_here(api: Api) -> None:
    api.pop(name="first")
    api.pop(api.key("another"), name="second")

    def names(query: str = "") -> list[str]:
        return [each["name"] for each in api.call("GET", f"/workers{query}").body]

    assert names() == ["first", "second"]
    assert names("?type=text") == []
    assert names("?name=FIRST") == ["first"]
    assert names("?name=nobody") == []
    ids = {each["id"] for each in api.call("GET", "/workers", key=api.key("mod")).body}
    assert len(ids) == 2


def test_an_owner_takes_a_worker_out_of_service_and_puts_it_back(api: Api) -> None:
    api.pop()
    assert change(api, "owner", maintenance=True, maintenance_msg="new fans") == {
        "maintenance": True
    }
    api.asked()
    refused = api.pop()
    assert refused.rc == "WorkerMaintenance"
    assert "new fans" in refused.body["message"]
    assert worker(api)["maintenance_mode"] is True
    change(api, "owner", maintenance=False)
    assert api.pop().status == 200


def test_an_empty_team_is_no_team(api: Api) -> None:
    api.pop()
    assert change(api, "owner", team="") == {"team": "None"}
    both = change(api, "owner", team="", info="made of tin")
    assert both == {"info": "made of tin", "team": "None"}
    path = f"/workers/{worker(api)['id']}"
    refused = api.call("PUT", path, key=api.key("owner"), json={"team": "some team"})
    assert (refused.status, refused.rc) == (501, "NotServed")


def test_a_moderator_pauses_a_worker(api: Api) -> None:
    api.pop()
    assert change(api, "mod", paused=True) == {"paused": True}
    api.asked()
    nothing = api.pop()
    assert (nothing.status, nothing.body["id"], nothing.body["ids"]) == (200, None, [])
    assert worker(api, "owner")["paused"] is True


def test_a_worker_gets_another_name_and_a_description(api: Api) -> None:
    api.pop()
    changed = change(api, "owner", name="renamed worker", info="made of copper")
    assert changed == {"name": "renamed worker", "info": "made of copper"}
    told = worker(api, name="renamed worker")
    assert told["info"] == "made of copper"
    assert api.call("GET", "/workers/name/a worker").rc == "WorkerNotFound"
    taken = api.call(
        "PUT",
        f"/workers/{told['id']}",
        key=api.key("owner"),
        json={"name": "x" * 101, "info": "never"},
    )
    assert taken.rc == "TooLongWorkerName"
    assert worker(api, name="renamed worker")["info"] == "made of copper", "half was changed"


def test_a_deleted_worker_is_gone_and_its_name_free(api: Api) -> None:
    api.asked(n=1)
    job = api.popped()
    worker_id = worker(api)["id"]
    path = f"/workers/{worker_id}"
    assert api.call("DELETE", path, key=api.key("another")).rc == "NotModerator"
    deleted = api.call("DELETE", path, key=api.key("owner"))
    assert deleted.body == {"deleted_id": worker_id, "deleted_name": "a worker"}
    assert api.call("GET", path).rc == "WorkerNotFound"
    assert api.call("GET", "/workers").body == []
    assert api.hoard.views.workers.all() == []
    assert api.call("DELETE", path, key=api.key("owner")).rc == "WorkerNotFound"
    api.deliver(job["ids"])
    assert api.pop(api.key("another")).status == 200
    assert worker(api)["id"] != worker_id


def send(api: Api, by: str, **fields: object) -> Any:
    answered = api.call(
        "POST", "/workers/messages", key=api.key(by), json={"message": "hello", **fields}
    )
    assert answered.status == 200, answered
    return answered.body


def test_messages_reach_the_workers_that_they_are_for(api: Api) -> None:
    api.pop(name="first")
    api.pop(api.key("another"), name="second")
    first, second = (worker(api, name=name)["id"] for name in ("first", "second"))
    everybody = send(api, "mod", message="to all", origin="the operators")
    api.clock.advance(timedelta(seconds=1))
    mine = send(api, "owner", worker_id=first, message="to mine", origin="not me", expiry=1)
    number = api.call("GET", "/find_user", key=api.key("owner")).body["id"]
    assert (everybody["origin"], mine["origin"]) == ("the operators", f"owner#{number}")
    assert (everybody["expiry"], mine["expiry"]) == (12, 1)

    def told(worker_id: str, owner: str) -> list[str]:
        body = api.call("GET", f"/workers/{worker_id}", key=api.key(owner)).body
        return [each["message"] for each in body["messages"]]

    assert told(first, "owner") == ["to all", "to mine"]
    assert told(second, "another") == ["to all"]
    api.clock.advance(timedelta(hours=1))
    assert told(first, "owner") == ["to all"]
    assert api.call("GET", f"/workers/messages/{mine['id']}").body["expiry"] == 0

    def listed(by: str, query: str = "") -> list[str]:
        found = api.call("GET", f"/workers/messages{query}", key=api.key(by))
        assert found.status == 200, found
        return [each["message"] for each in found.body]

    assert listed("mod") == ["to all"]
    assert listed("mod", "?validity=all") == ["to mine", "to all"]
    assert listed("owner", "?validity=expired") == ["to mine"]
    assert listed("owner", f"?validity=all&worker_id={first}") == ["to mine"]
    assert listed("mod", f"?validity=all&user_id={number}") == ["to mine"]
    assert listed("mod", "?page=2&validity=all") == []
    foreign = api.call("GET", f"/workers/messages?worker_id={first}", key=api.key("another"))
    assert foreign.rc == "NotModerator"


def test_messages_are_deleted_by_their_authors_and_by_moderators(api: Api) -> None:
    api.pop()
    path = f"/workers/messages/{send(api, 'owner', worker_id=worker(api)['id'])['id']}"
    assert api.call("DELETE", path, key=api.key("another")).rc == "NotModerator"
    assert api.call("DELETE", path, key=api.key("owner")).body == {"message": "OK"}
    gone = api.call("GET", path)
    assert (gone.status, gone.rc) == (404, "WorkermessageNotFound")
    assert worker(api, "owner")["messages"] == []


def test_only_moderators_write_to_every_worker_and_not_without_end(api: Api) -> None:
    api.pop()
    to_all = api.call("POST", "/workers/messages", key=api.key("owner"), json={"message": "hello"})
    assert to_all.rc == "NotModerator"
    worker_id = worker(api)["id"]
    for _ in range(100):
        send(api, "owner", worker_id=worker_id)
    body = {"message": "one more", "worker_id": worker_id}
    assert api.call("POST", "/workers/messages", key=api.key("owner"), json=body).rc == "Forbidden"


def from_address(api: Api, address: str) -> Api:
    http = TestClient(api.http.app, raise_server_exceptions=False, client=(address, 50_000))
    return Api(api.hoard, api.clock, http, keys=api.keys)


def operate(api: Api, method: str, path: str, **body: object) -> Any:
    options = {"json": body} if body else {}
    answered = api.call(method, f"/operations/{path}", key=api.key("mod"), **options)
    assert answered.status == 200, answered
    return answered.body


@pytest.mark.parametrize("shut_out", ["192.0.2.7", "192.0.2.0/24", "::ffff:192.0.2.7"])
def test_an_address_that_is_shut_out_asks_for_nothing(api: Api, shut_out: str) -> None:
    there, elsewhere = from_address(api, "192.0.2.7"), from_address(api, "198.51.100.7")
    assert there.ask().status == 202
    operate(api, "POST", "ipaddr", ipaddr=shut_out, hours=2)
    refused = there.ask()
    assert refused.rc == "TimeoutIP"
    assert "7200" in refused.body["message"]
    assert there.pop().rc == "TimeoutIP"
    assert elsewhere.ask().status == 202
    (listed,) = operate(api, "GET", "ipaddr")
    assert listed["seconds"] == 7200
    assert operate(api, "GET", "ipaddr/192.0.2.7") == [listed]
    assert operate(api, "GET", "ipaddr/198.51.100.7") == []
    operate(api, "DELETE", "ipaddr", ipaddr=shut_out)
    assert there.ask().status == 202


def test_a_time_out_ends(api: Api) -> None:
    there = from_address(api, "2001:db8::7")
    operate(api, "POST", "ipaddr", ipaddr="2001:db8::/32", hours=1)
    assert there.ask().rc == "TimeoutIP"
    api.clock.advance(timedelta(hours=1))
    assert there.ask().status == 202
    assert operate(api, "GET", "ipaddr") == []


def test_nobody_is_shut_out_by_half_of_the_internet(api: Api) -> None:
    for network in ("0.0.0.0/0", "10.0.0.0/7", "::/0"):
        body = {"ipaddr": network, "hours": 1}
        answered = api.call("POST", "/operations/ipaddr", key=api.key("mod"), json=body)
        assert answered.rc == "BadRequest"


def test_a_worker_s_address_is_shut_out_unread(api: Api) -> None:
    there = from_address(api, "192.0.2.7")
    assert there.pop().status == 200
    path = f"block_worker_ipaddr/{worker(api)['id']}"
    operate(api, "PUT", path, days=1)
    assert there.ask().rc == "TimeoutIP"
    assert from_address(api, "192.0.2.8").ask().status == 202
    (listed,) = operate(api, "GET", "ipaddr")
    assert listed["ipaddr"] != "192.0.2.7"
    assert operate(api, "GET", "ipaddr/192.0.2.7") == [listed]
    operate(api, "DELETE", path)
    assert there.ask().status == 202
    unknown = api.call(
        "PUT", f"/operations/block_worker_ipaddr/{uuid4()}", key=api.key("mod"), json={"days": 1}
    )
    assert unknown.rc == "WorkerNotFound"
