"""Webhooks that requests name, through HTTP; nothing of them is told to anybody else."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from projections.tracking import notifications
from tests.integration.api_client import Api
from tests.integration.requests.replicas import again, make
from tests.integration.webhooks.webhook_client import (
    ADDRESS,
    FAILED,
    account_id,
    add,
    api,
    call,
    here,
    named_by,
    sent_test,
    told,
    tried,
)

__all__ = ["api", "here"]


def test_a_request_names_its_own_webhook(api: Api) -> None:
    key = api.key("integrator")
    first = named_by(api, api.asked(key, webhook=f"{ADDRESS}?job=1"))
    assert first is not None
    assert first.kinds == (notifications.IMAGE, notifications.ENDED)
    assert api.hoard.secrets.personal_keys.open(first.address) == f"{ADDRESS}?job=1"
    assert first.address.subject == account_id(api)

    only = named_by(
        api, api.asked(key, webhook=f"{ADDRESS}?job=2", webhook_events=["progress", "started"])
    )
    assert only is not None
    assert only.kinds == (notifications.STARTED, notifications.PROGRESS)
    assert only.destination == first.destination
    another = named_by(api, api.asked(api.key("another"), webhook=ADDRESS))
    assert another is not None
    assert another.destination != first.destination
    assert named_by(api, api.asked(key)) is None


def test_anonymous_requests_have_webhooks_too(api: Api) -> None:
    request_id = api.asked(webhook=ADDRESS)
    named = named_by(api, request_id)
    assert named is not None
    assert named.address.subject == UUID(request_id)


def test_an_image_that_is_made_again_has_a_webhook_too(api: Api) -> None:
    key = api.key("integrator")
    api.asked(key, webhook=ADDRESS)
    image_id = make(api).image_ids[0]
    without = again(api, image_id, key)
    assert named_by(api, without.body["id"]) is None
    named = again(api, image_id, key, webhook=ADDRESS, webhook_events=["image"])
    assert named.status == 202, named
    webhook = named_by(api, named.body["id"])
    assert webhook is not None
    assert webhook.kinds == (notifications.IMAGE,)
    assert api.hoard.secrets.personal_keys.open(webhook.address) == ADDRESS
    refused = again(api, image_id, key, webhook_events=["image"])
    assert (refused.rc, list(refused.body["errors"])) == ("BadRequest", ["webhook_events"])


def test_who_borrows_a_key_is_told_in_its_owner_s_name(here: Api) -> None:
    shared = here.call("PUT", "/sharedkeys", key=here.key("integrator"), json={}).body["id"]
    borrowed = named_by(here, here.asked(shared, webhook=ADDRESS))
    own = named_by(here, here.asked(here.key("integrator"), webhook=ADDRESS))
    assert borrowed is not None
    assert own is not None
    assert borrowed.destination == own.destination


def test_addresses_and_secrets_stand_nowhere_in_clear(
    here: Api, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as entries, caplog.at_level(logging.DEBUG):
        endpoint_id = add(here, url="https://endpoint.invalid/of-mine")["id"]
        key = here.key("integrator")
        request_id = here.asked(key, webhook="https://request.invalid/of-mine?token=mine")
        secret, _ = told(here, "POST", "/secret/rotate")["secrets"]
        delivery_id = sent_test(here, endpoint_id)
        tried(here, delivery_id, FAILED, "an answer of mine")
        told(here, "GET", f"/deliveries/{delivery_id}")
        told(here, "GET", "/endpoints")
        refused = "https://me:token=mine@refused.invalid/of-mine"
        assert call(here, "POST", "/endpoints", json={"url": refused}).rc == "WebhookInvalid"
        assert here.ask(key, webhook=refused).rc == "WebhookInvalid"
    events = [record.event for record in here.hoard.storage.log.after(0, 1000)]
    stored = b"".join(
        path.read_bytes() for path in here.hoard.settings.data.rglob("*") if path.is_file()
    )
    logged = "".join([caplog.text, repr(entries), *capfd.readouterr()])
    assert request_id.replace("-", "").encode() in stored
    assert b'"kinds":["image","ended"]' in stored
    assert "/webhooks/endpoints" in logged
    secret = secret.removeprefix("whsec_")
    for clear in ("of-mine", ".invalid", "token=mine", "an answer of mine", secret):
        assert clear not in logged
        assert clear not in "".join(repr(vars(event)) for event in events)
        assert clear.encode() not in stored
