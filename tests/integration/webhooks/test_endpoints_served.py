"""Webhook endpoints and secrets through HTTP, and who may have them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.webhooks.attempts import Outcome
from domain.webhooks.endpoint import DisableReason
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from infrastructure.processes.webhooks import sender_of
from tests.integration.api_client import Api
from tests.integration.requests.replicas import again
from tests.integration.webhooks.webhook_client import (
    ADDRESS,
    FAILED,
    NOWHERE,
    add,
    api,
    call,
    here,
    listed,
    sent_test,
    strict,
    told,
    tried,
)
from tests.webhook_receiver import answer, receiver
from tests.webhook_world import HERE, is_signed_by_key, is_signed_by_secret

__all__ = ["api", "here", "strict"]


def test_an_endpoint_is_added_listed_changed_and_taken_away(api: Api) -> None:
    made = add(api, events=["ended", "started", "ended"])
    assert made == {
        "id": made["id"],
        "url": ADDRESS,
        "events": ["started", "ended"],
        "enabled": True,
        "disabled_because": None,
        "notice": None,
        "failures": 0,
        "resting_until": None,
        "created": api.clock.now().isoformat(),
    }
    usual = add(api)
    assert usual["events"] == ["image", "ended"]
    path = f"/endpoints/{made['id']}"
    assert told(api, "GET", path) == made
    assert told(api, "GET", "/endpoints") == [made, usual]

    changed = told(api, "PATCH", path, json={"events": ["progress"]})
    assert changed == made | {"events": ["progress"]}
    changed = told(api, "PATCH", path, json={"enabled": False})
    assert (changed["enabled"], changed["disabled_because"]) == (False, "by_hand")
    assert changed["events"] == ["progress"]
    assert told(api, "GET", "/endpoints")[0] == changed
    assert told(api, "PATCH", path, json={"enabled": True})["enabled"] is True

    assert told(api, "DELETE", path) == {"message": "OK"}
    assert call(api, "GET", path).rc == "WebhookNotFound"
    assert call(api, "PATCH", path, json={"enabled": True}).rc == "WebhookNotFound"
    assert call(api, "DELETE", path).rc == "WebhookNotFound"
    assert told(api, "GET", "/endpoints") == [usual]


def test_somebody_else_s_endpoint_is_not_found(api: Api) -> None:
    mine = add(api)
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/test", None),
    ):
        theirs = call(api, method, f"/endpoints/{mine['id']}{path}", "another", json=body)
        nobodys = call(api, method, f"/endpoints/{NOWHERE}{path}", "another", json=body)
        assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body)
        assert theirs.rc == "WebhookNotFound"
    assert told(api, "GET", "/endpoints", "another") == []
    assert told(api, "GET", "/endpoints") == [mine]
    assert listed(api) == []


def test_an_account_has_twenty_endpoints_at_most(api: Api) -> None:
    made = [add(api)["id"] for _ in range(20)]
    told(api, "PATCH", f"/endpoints/{made[0]}", json={"enabled": False})
    refused = call(api, "POST", "/endpoints", json={"url": ADDRESS})
    assert refused.rc == "Forbidden"
    assert "20" in refused.body["message"]
    add(api, "another")
    told(api, "DELETE", f"/endpoints/{made[0]}")
    add(api)


@pytest.mark.parametrize(
    ("events", "field"),
    [
        (["image", "queued"], "events.1"),
        (["test"], "events.0"),
        (["Image"], "events.0"),
        ([], "events"),
        ("image", "events"),
    ],
)
def test_unknown_events_are_refused(strict: Api, events: object, field: str) -> None:
    for refused in (
        call(strict, "POST", "/endpoints", json={"url": ADDRESS, "events": events}),
        call(strict, "PATCH", f"/endpoints/{NOWHERE}", json={"events": events}),
    ):
        assert refused.rc == "BadRequest"
        assert field in refused.body["errors"]
    refused = strict.ask(webhook=ADDRESS, webhook_events=events)
    assert refused.rc == "BadRequest"
    assert f"webhook_{field}" in refused.body["errors"]


ADDRESSES_REFUSED = {
    "no TLS": "http://bot.example/hoard",
    "another scheme": "file:///etc/passwd",
    "a name and a password": "https://me:secret@bot.example/",
    "a fragment": "https://bot.example/hoard#part",
    "too short": "https://b",
    "too long": f"https://bot.example/{'h' * 1024}",
    "this machine": "https://127.0.0.1/hoard",
    "a private network": "https://[fd00::1]/hoard",
    "the metadata of a cloud": "https://169.254.169.254/latest",
    "a port of another protocol": "https://1.1.1.1:25/hoard",
    "a space": "https://bot.example/ho ard",
    "no host": "https:///hoard",
}


@pytest.mark.parametrize("address", ADDRESSES_REFUSED.values(), ids=ADDRESSES_REFUSED)
def test_an_address_that_can_never_be_called_is_refused(strict: Api, address: str) -> None:
    refusals = {
        "url": call(strict, "POST", "/endpoints", json={"url": address}),
        "webhook": strict.ask(webhook=address),
    }
    for field, refused in refusals.items():
        assert refused.rc == "WebhookInvalid", field
        assert list(refused.body["errors"]) == [field]
        assert address not in json.dumps(refused.body)
    assert strict.ask(webhook=address, dry_run=True).rc == "WebhookInvalid"
    assert again(strict, NOWHERE, webhook=address).rc == "WebhookInvalid"
    assert again(strict, NOWHERE, webhook=address, dry_run=True).rc == "WebhookInvalid"
    assert told(strict, "GET", "/endpoints") == []


def test_what_the_operator_permits_is_called(here: Api) -> None:
    assert add(here, url="http://127.0.0.1:8000/hoard")["url"] == "http://127.0.0.1:8000/hoard"
    assert here.ask(webhook="http://127.0.0.1:8000/hoard").status == 202
    assert call(here, "POST", "/endpoints", json={"url": "http://10.0.0.1/"}).rc == "WebhookInvalid"


def test_how_an_endpoint_answers_is_told_with_what_to_do(api: Api) -> None:
    endpoint_id = add(api)["id"]
    path = f"/endpoints/{endpoint_id}"
    for number in range(5):
        shown = told(api, "GET", path)
        assert (shown["failures"], shown["notice"], shown["resting_until"]) == (number, None, None)
        tried(api, sent_test(api, endpoint_id), FAILED)
    shown = told(api, "GET", path)
    until = api.clock.now() + timedelta(seconds=30)
    assert (shown["failures"], shown["resting_until"]) == (5, until.isoformat())
    assert "The last 5 attempts failed" in shown["notice"]
    assert shown["enabled"] is True
    assert told(api, "GET", "/endpoints") == [shown]

    api.clock.advance(timedelta(seconds=30))
    shown = told(api, "GET", path)
    assert (shown["failures"], shown["resting_until"]) == (5, None)
    assert "One delivery at a time" in shown["notice"]
    tried(api, sent_test(api, endpoint_id), Outcome(status=204))
    shown = told(api, "GET", path)
    assert (shown["failures"], shown["notice"]) == (0, None)

    api.hoard.ledger.webhooks.disable_endpoint(UUID(endpoint_id), DisableReason.GONE)
    shown = told(api, "GET", path)
    assert (shown["enabled"], shown["disabled_because"]) == (False, "gone")
    assert "410" in shown["notice"]
    sent_test(api, endpoint_id)
    shown = told(api, "PATCH", path, json={"enabled": True})
    assert (shown["enabled"], shown["disabled_because"], shown["notice"]) == (True, None, None)


def test_a_rotation_leaves_two_secrets_for_a_while(api: Api) -> None:
    first = told(api, "GET", "/secret")
    (secret,) = first["secrets"]
    assert secret.startswith("whsec_")
    assert first["public_key"].startswith("whpk_")
    assert told(api, "GET", "/secret") == first

    both = told(api, "POST", "/secret/rotate", json={"overlap_seconds": 60})
    assert len(set(both["secrets"])) == 2
    assert both["secrets"][1] == secret
    assert both["public_key"] == first["public_key"]
    assert told(api, "GET", "/secret") == both
    api.clock.advance(timedelta(seconds=59))
    assert told(api, "GET", "/secret") == both
    api.clock.advance(timedelta(seconds=1))
    assert told(api, "GET", "/secret")["secrets"] == both["secrets"][:1]

    alone = told(api, "POST", "/secret/rotate", json={"overlap_seconds": 0})
    assert len(alone["secrets"]) == 1
    assert alone["secrets"][0] not in both["secrets"]


def test_a_secret_that_was_replaced_counts_for_a_day_unless_said_otherwise(api: Api) -> None:
    assert len(told(api, "POST", "/secret/rotate")["secrets"]) == 2
    api.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert len(told(api, "GET", "/secret")["secrets"]) == 2
    api.clock.advance(timedelta(seconds=1))
    assert len(told(api, "GET", "/secret")["secrets"]) == 1


def test_no_cache_keeps_a_secret_and_no_other_account_has_it(api: Api) -> None:
    mine = call(api, "GET", "/secret")
    assert mine.headers["cache-control"] == "no-store"
    assert call(api, "POST", "/secret/rotate").headers["cache-control"] == "no-store"
    theirs = told(api, "GET", "/secret", "another")
    assert not set(theirs["secrets"]) & set(mine.body["secrets"])
    assert theirs["public_key"] != mine.body["public_key"]


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60", True])
def test_an_overlap_lasts_a_week_at_most(strict: Api, seconds: object) -> None:
    before = told(strict, "GET", "/secret")
    refused = call(strict, "POST", "/secret/rotate", json={"overlap_seconds": seconds})
    assert refused.rc == "BadRequest"
    assert told(strict, "GET", "/secret") == before


ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/endpoints", None),
    ("POST", "/endpoints", {"url": ADDRESS}),
    ("GET", f"/endpoints/{NOWHERE}", None),
    ("PATCH", f"/endpoints/{NOWHERE}", {"enabled": True}),
    ("DELETE", f"/endpoints/{NOWHERE}", None),
    ("POST", f"/endpoints/{NOWHERE}/test", None),
    ("GET", "/deliveries", None),
    ("GET", f"/deliveries/{NOWHERE}", None),
    ("POST", f"/deliveries/{NOWHERE}/resend", None),
    ("POST", "/deliveries/resend", {"since": "2026-01-01T00:00:00Z"}),
    ("POST", "/secret/rotate", {}),
]


def test_the_routes_are_all_that_there_are(strict: Api) -> None:
    described = strict.call("GET", "/openapi.json").body["paths"]
    served = {
        (method.upper(), path.removeprefix("/api/v2/webhooks"))
        for path, methods in described.items()
        if path.startswith("/api/v2/webhooks")
        for method in methods
    }
    asked = {
        (method, path.replace(NOWHERE, "{endpoint_id}" if "endpoints" in path else "{delivery_id}"))
        for method, path, _ in ROUTES
    }
    assert served == asked | {("GET", "/secret")}


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_anonymous_strangers_and_shared_keys_are_kept_out(
    strict: Api, method: str, path: str, body: Any
) -> None:
    shared = strict.call("PUT", "/sharedkeys", key=strict.key("integrator"), json={}).body["id"]
    path = f"/webhooks{path}"
    assert strict.call(method, path, key=ANONYMOUS_KEY, json=body).rc == "AnonForbidden"
    assert strict.call(method, path, key=shared, json=body).rc == "InvalidAPIKey"
    assert strict.call(method, path, key="nobody's", json=body).rc == "InvalidAPIKey"
    assert strict.call(method, path, json=body).rc in {"InvalidAPIKey", "AnonForbidden"}


def test_anonymous_has_a_public_key_and_no_secret(strict: Api) -> None:
    told_anonymous = strict.call("GET", "/webhooks/secret", key=ANONYMOUS_KEY).body
    assert told_anonymous["secrets"] == []
    assert told_anonymous["public_key"].startswith("whpk_")
    shared = strict.call("PUT", "/sharedkeys", key=strict.key("integrator"), json={}).body["id"]
    assert strict.call("GET", "/webhooks/secret", key=shared).rc == "InvalidAPIKey"


def test_a_test_arrives_signed_by_what_the_account_was_told(here: Api) -> None:
    with receiver() as there:
        there.reply = lambda handler: answer(handler, 202, b"thank you")
        endpoint_id = add(here, url=there.url(host=HERE))["id"]
        told(here, "POST", "/secret/rotate")
        keys = told(here, "GET", "/secret")
        delivery_id = sent_test(here, endpoint_id)
        sender_of(here.hoard).send(delivery_id)
        (posted,) = there.posted
    assert posted.headers["webhook-id"] == str(delivery_id)
    assert len(keys["secrets"]) == 2
    assert all(is_signed_by_secret(posted, secret) for secret in keys["secrets"])
    assert is_signed_by_key(posted, keys["public_key"])
    assert json.loads(posted.body)["type"] == "endpoint.test"
    shown = told(here, "GET", f"/deliveries/{delivery_id}")
    assert (shown["state"], shown["last_status"]) == ("delivered", 202)
    assert shown["tries"][0]["answer"] == "thank you"
