"""What is refused of addresses, and what is answered when the service itself fails."""

from __future__ import annotations

from sqlalchemy import text

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


@provokes("NotFound")
def an_address_of_nothing(api: Api) -> Answered:
    return api.call("GET", "/nowhere")


@provokes("MethodNotAllowed")
def a_method_that_an_address_does_not_take(api: Api) -> Answered:
    return api.call("PATCH", "/generate/async")


@provokes("InternalServerError")
def a_history_that_cannot_be_read(api: Api) -> Answered:
    request_id = api.asked()
    spoilt = text("UPDATE event SET state = '{}' WHERE topic = 'Request.Submitted'")
    with api.hoard.storage.ledger_database.transaction() as connection:
        connection.execute(spoilt)
    return api.call("DELETE", f"/generate/status/{request_id}")
