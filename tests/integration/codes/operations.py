"""What is refused of network addresses that are shut out, and of those who shut them out."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


@provokes("NotModerator")
def shutting_out_without_being_a_moderator(api: Api) -> Answered:
    return api.call("GET", "/operations/ipaddr", key=api.key("somebody"))


@provokes("BadRequest")
def shutting_out_what_is_no_address(api: Api) -> Answered:
    body = {"ipaddr": "nowhere", "hours": 1}
    return api.call("POST", "/operations/ipaddr", key=api.key("mod", moderator=True), json=body)
