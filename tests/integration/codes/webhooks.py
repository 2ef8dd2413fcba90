"""What is refused of those who want to be called by webhook."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes
from tests.integration.codes.requests import NOBODYS_ID
from tests.integration.codes.shared_keys import lent
from tests.integration.requests.replicas import again, make

ADDRESS = "https://bot.example/hoard"


def add(api: Api, name: str = "integrator", **fields: object) -> Answered:
    """Add an endpoint of the account of this name."""
    body = {"url": ADDRESS, **fields}
    return api.call("POST", "/webhooks/endpoints", key=api.key(name), json=body)


@provokes("WebhookNotFound")
def endpoint_that_nobody_has(api: Api) -> Answered:
    return api.call("GET", f"/webhooks/endpoints/{NOBODYS_ID}", key=api.key("integrator"))


@provokes("WebhookNotFound")
def word_in_the_place_of_an_endpoint(api: Api) -> Answered:
    return api.call("DELETE", "/webhooks/endpoints/mine", key=api.key("integrator"))


@provokes("WebhookNotFound")
def endpoint_of_somebody_else(api: Api) -> Answered:
    endpoint_id = add(api).body["id"]
    return api.call("POST", f"/webhooks/endpoints/{endpoint_id}/test", key=api.key("another"))


@provokes("WebhookNotFound")
def deliveries_for_an_endpoint_of_somebody_else(api: Api) -> Answered:
    body = {"since": "2026-01-01T00:00:00Z", "endpoint": add(api).body["id"]}
    return api.call("POST", "/webhooks/deliveries/resend", key=api.key("another"), json=body)


@provokes("DeliveryNotFound")
def delivery_that_there_never_was(api: Api) -> Answered:
    path = f"/webhooks/deliveries/{NOBODYS_ID}/resend"
    return api.call("POST", path, key=api.key("integrator"))


@provokes("DeliveryNotFound")
def word_in_the_place_of_a_delivery(api: Api) -> Answered:
    return api.call("GET", "/webhooks/deliveries/last", key=api.key("integrator"))


@provokes("DeliveryNotFound")
def endpoint_in_the_place_of_a_delivery(api: Api) -> Answered:
    endpoint_id = add(api).body["id"]
    return api.call("GET", f"/webhooks/deliveries/{endpoint_id}", key=api.key("integrator"))


@provokes("WebhookInvalid")
def endpoint_without_tls(api: Api) -> Answered:
    return add(api, url="http://bot.example/hoard")


@provokes("WebhookInvalid")
def endpoint_at_a_private_address(api: Api) -> Answered:
    return add(api, url="https://10.0.0.1/hoard")


@provokes("WebhookInvalid")
def address_of_nine_characters(api: Api) -> Answered:
    return api.ask(webhook="https://x")


@provokes("WebhookInvalid")
def address_with_a_password(api: Api) -> Answered:
    return api.ask(webhook="https://me:secret@bot.example/hoard")


@provokes("WebhookInvalid")
def image_to_be_made_again_with_a_webhook_at_home(api: Api) -> Answered:
    api.asked()
    return again(api, make(api).image_ids[0], webhook="https://127.0.0.1/hoard")


@provokes("Forbidden")
def one_endpoint_too_many(api: Api) -> Answered:
    for _ in range(20):
        assert add(api).status == 201
    return add(api)


@provokes("AnonForbidden")
def endpoint_of_anonymous(api: Api) -> Answered:
    return api.call("POST", "/webhooks/endpoints", key="0000000000", json={"url": ADDRESS})


@provokes("InvalidAPIKey")
def secrets_under_a_shared_key(api: Api) -> Answered:
    return api.call("GET", "/webhooks/secret", key=lent(api))


@provokes("BadRequest")
def event_that_nobody_knows(api: Api) -> Answered:
    return add(api, events=["image", "queued"])


@provokes("BadRequest")
def nothing_about_an_endpoint(api: Api) -> Answered:
    path = f"/webhooks/endpoints/{add(api).body['id']}"
    return api.call("PATCH", path, key=api.key("integrator"), json={})


@provokes("BadRequest")
def events_without_a_webhook(api: Api) -> Answered:
    return api.ask(webhook_events=["ended"])


@provokes("BadRequest")
def secret_that_overlaps_for_a_month(api: Api) -> Answered:
    body = {"overlap_seconds": 30 * 86_400}
    return api.call("POST", "/webhooks/secret/rotate", key=api.key("integrator"), json=body)


@provokes("BadRequest")
def deliveries_since_before_the_calendar(api: Api) -> Answered:
    body = {"since": "0001-01-01T00:00:00+05:00"}
    return api.call("POST", "/webhooks/deliveries/resend", key=api.key("integrator"), json=body)
