"""Webhook deliveries through HTTP: listed, told with each try, and sent again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from api.v2.webhooks import deliveries as deliveries_served
from domain.sealing import Forgotten
from domain.webhooks.attempts import Outcome, Problem
from domain.webhooks.backoff import AbandonReason
from tests.integration.api_client import Api
from tests.integration.webhooks.webhook_client import (
    ADDRESS,
    FAILED,
    NOWHERE,
    account_id,
    add,
    api,
    call,
    listed,
    scheduled,
    sent_test,
    strict,
    told,
    tried,
)

__all__ = ["api", "strict"]


def test_deliveries_are_listed_the_newest_first_and_narrowed_down(api: Api) -> None:
    key, mine, other = api.key("integrator"), add(api)["id"], add(api)["id"]
    requests = [api.asked(key, webhook=ADDRESS) for _ in range(2)]
    to_mine = scheduled(api, requests[0], mine)
    api.clock.advance(timedelta(minutes=1))
    to_other = scheduled(api, requests[0], other)
    api.clock.advance(timedelta(minutes=1))
    of_its_own = scheduled(api, requests[1], None)
    tried(api, to_mine, Outcome(status=204))
    tried(api, of_its_own, Outcome(problem=Problem.TIMED_OUT))
    api.hoard.ledger.webhooks.abandon(to_other, AbandonReason.LATE)
    api.catch_up()

    every = [str(each) for each in (of_its_own, to_other, to_mine)]
    assert listed(api) == every
    assert listed(api, state="due") == every[:1]
    assert listed(api, state="given_up") == every[1:2]
    assert listed(api, state="delivered") == every[2:]
    assert listed(api, endpoint=mine) == every[2:]
    assert listed(api, request=requests[0]) == every[1:]
    since = (api.clock.now() - timedelta(minutes=1)).isoformat()
    assert listed(api, since=since) == every[:2]
    assert listed(api, since=since.removesuffix("+00:00")) == every[:2]
    assert listed(api, page=2) == []
    assert listed(api, "another") == []
    assert listed(api, endpoint=NOWHERE) == []

    due, given_up, delivered = told(api, "GET", "/deliveries")
    assert (due["state"], due["attempts"], due["last_problem"]) == ("due", 1, "timed_out")
    assert (due["event"], due["request"], due["endpoint"]) == ("ended", requests[1], None)
    assert due["due_at"] > api.clock.now().isoformat()
    assert (given_up["given_up_because"], given_up["due_at"]) == ("late", None)
    assert (delivered["last_status"], delivered["last_seconds"]) == (204, 0.25)
    for each in (due, given_up, delivered):
        alone = told(api, "GET", f"/deliveries/{each['id']}")
        assert {name: alone[name] for name in each} == each


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "lost"),
        ("endpoint", "mine"),
        ("request", "1"),
        ("since", "yesterday"),
        ("since", "0001-01-01T00:00:00+05:00"),
        ("page", 0),
        ("page", 10_001),
    ],
)
def test_what_narrows_nothing_down_is_refused(strict: Api, name: str, value: object) -> None:
    refused = call(strict, "GET", "/deliveries", params={name: value})
    assert (refused.rc, list(refused.body["errors"])) == ("BadRequest", [f"query.{name}"])


def test_a_delivery_tells_each_of_its_tries(api: Api) -> None:
    endpoint_id = add(api)["id"]
    request_id = api.asked(api.key("integrator"))
    delivery_id = scheduled(api, request_id, endpoint_id)
    path = f"/deliveries/{delivery_id}"
    assert told(api, "GET", path)["tries"] == []

    began = api.clock.now()
    later = Outcome(status=503, retry_after=timedelta(minutes=10))
    tried(api, delivery_id, later, "come back")
    shown = told(api, "GET", path)
    (first,) = shown["tries"]
    assert first == {
        "number": 1,
        "at": began.isoformat(),
        "status": 503,
        "problem": None,
        "seconds": 0.25,
        "answer": "come back",
        "retry_after": 600.0,
        "again_at": shown["due_at"],
    }
    assert first["again_at"] >= (began + timedelta(minutes=10)).isoformat()
    assert (shown["state"], shown["event"], shown["request"]) == ("due", "ended", request_id)

    tried(api, delivery_id, Outcome(problem=Problem.NOT_RESOLVED))
    tried(api, delivery_id, Outcome(status=410))
    shown = told(api, "GET", path)
    assert [each["status"] for each in shown["tries"]] == [503, None, 410]
    assert [each["problem"] for each in shown["tries"]] == [None, "not_resolved", None]
    assert [each["answer"] for each in shown["tries"]] == ["come back", None, None]
    assert shown["tries"][-1]["again_at"] is None
    assert (shown["state"], shown["given_up_because"]) == ("given_up", "gone")
    assert (shown["attempts"], shown["last_status"], shown["due_at"]) == (3, 410, None)


def test_a_receiver_s_answer_is_forgotten_with_its_account(api: Api) -> None:
    delivery_id = sent_test(api, add(api)["id"])
    tried(api, delivery_id, FAILED, "an answer")
    api.hoard.secrets.personal_keys.forget(account_id(api))
    (attempt,) = told(api, "GET", f"/deliveries/{delivery_id}")["tries"]
    assert (attempt["status"], attempt["answer"]) == (500, None)
    (endpoint,) = told(api, "GET", "/endpoints")
    assert endpoint["url"] is None
    with pytest.raises(Forgotten):
        api.hoard.secrets.personal_keys.open(
            api.hoard.ledger.webhooks.endpoint(UUID(endpoint["id"])).address
        )


def test_somebody_else_s_delivery_is_not_found(api: Api) -> None:
    delivery_id = sent_test(api, add(api)["id"])
    tried(api, delivery_id, FAILED)
    path = f"/deliveries/{delivery_id}"
    assert call(api, "GET", path, "another").rc == "DeliveryNotFound"
    assert call(api, "POST", f"{path}/resend", "another").rc == "DeliveryNotFound"
    body = {"since": "2020-01-01T00:00:00Z"}
    assert told(api, "POST", "/deliveries/resend", "another", json=body)["resent"] == 0
    assert told(api, "GET", path)["state"] == "given_up"


def test_a_delivery_is_sent_again(api: Api) -> None:
    delivery_id = sent_test(api, add(api)["id"])
    path = f"/deliveries/{delivery_id}"
    tried(api, delivery_id, FAILED)
    assert told(api, "GET", path)["state"] == "given_up"
    again_answer = call(api, "POST", f"{path}/resend")
    assert (again_answer.status, again_answer.body) == (202, {"delivery_id": str(delivery_id)})
    shown = told(api, "GET", path)
    assert (shown["state"], shown["given_up_because"]) == ("due", None)
    assert (shown["attempts"], len(shown["tries"])) == (1, 1)
    before = len(api.hoard.storage.log.tails({delivery_id: 0}))
    assert call(api, "POST", f"{path}/resend").status == 202
    assert len(api.hoard.storage.log.tails({delivery_id: 0})) == before
    tried(api, delivery_id, Outcome(status=200))
    assert told(api, "GET", path)["state"] == "delivered"
    told(api, "POST", f"{path}/resend")
    assert told(api, "GET", path)["state"] == "due"


def test_all_that_was_given_up_since_a_time_is_sent_again(api: Api) -> None:
    mine, other = add(api)["id"], add(api)["id"]
    early = sent_test(api, mine)
    tried(api, early, FAILED)
    api.clock.advance(timedelta(minutes=1))
    since = api.clock.now().isoformat()
    given_up = [sent_test(api, endpoint_id) for endpoint_id in (mine, other, other)]
    delivered, theirs = sent_test(api, mine), sent_test(api, add(api, "another")["id"], "another")
    for delivery_id in (*given_up, theirs):
        tried(api, delivery_id, FAILED)
    tried(api, delivered, Outcome(status=200))

    path = "/deliveries/resend"
    answered = call(api, "POST", path, json={"since": since, "endpoint": other})
    assert (answered.status, answered.body) == (202, {"resent": 2, "more": False})
    assert told(api, "POST", path, json={"since": since}) == {"resent": 1, "more": False}
    assert told(api, "POST", path, json={"since": since}) == {"resent": 0, "more": False}
    assert listed(api, state="given_up") == [str(early)]
    assert set(listed(api, state="due")) == {str(each) for each in given_up}
    assert listed(api, "another", state="given_up") == [str(theirs)]


def test_many_are_sent_again_in_portions_however_far_the_list_has_followed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_served, "MOST_RESENT", 2)
    endpoint_id = add(api)["id"]
    given_up = [sent_test(api, endpoint_id) for _ in range(5)]
    for delivery_id in given_up:
        tried(api, delivery_id, FAILED)
    api.follow = False
    body = {"since": "2020-01-01T00:00:00Z"}
    portions = [told(api, "POST", "/deliveries/resend", json=body) for _ in range(4)]
    assert portions == [
        {"resent": 2, "more": True},
        {"resent": 2, "more": True},
        {"resent": 1, "more": False},
        {"resent": 0, "more": False},
    ]
    assert len(listed(api, state="given_up")) == 5
    for delivery_id in given_up:
        assert len(api.hoard.storage.log.tails({delivery_id: 0})) == 4
