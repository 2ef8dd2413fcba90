"""What is refused around the service as a whole."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


@provokes("NotModerator")
def modes_changed_by_a_user(api: Api) -> Answered:
    return api.call("PUT", "/status/modes", key=api.key("user"), json={"raid_mode": True})


@provokes("NotAdmin")
def maintenance_by_a_moderator(api: Api) -> Answered:
    moderator = api.key("moderator", moderator=True)
    return api.call("PUT", "/status/modes", key=moderator, json={"maintenance_mode": True})


@provokes("NoHordeModSelected")
def no_mode_named(api: Api) -> Answered:
    return api.call("PUT", "/status/modes", key=api.key("admin", admin=True), json={})


@provokes("BadRequest")
def models_in_an_unknown_state(api: Api) -> Answered:
    return api.call("GET", "/status/models", params={"model_state": "odd"})
