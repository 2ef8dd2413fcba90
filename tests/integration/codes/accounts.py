"""What is refused of those who look up, change and delete accounts."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes

ANONYMOUS = "0000000000"


def number_of(api: Api, name: str, **roles: bool) -> int:
    """Return the number of an account, opening it first if need be."""
    return int(api.call("GET", "/find_user", key=api.key(name, **roles)).body["id"])


def change(api: Api, name: str, by: str, **fields: object) -> Answered:
    """Change an account as another, or itself."""
    return api.call("PUT", f"/users/{number_of(api, name)}", key=api.key(by), json=fields)


@provokes("UserNotFound")
def number_that_nobody_has(api: Api) -> Answered:
    return api.call("GET", "/users/777")


@provokes("UserNotFound")
def key_that_nobody_has(api: Api) -> Answered:
    return api.call("GET", "/find_user", key="k" * 22)


@provokes("NoUserModSelected")
def nothing_to_change(api: Api) -> Answered:
    return change(api, "somebody", "somebody")


@provokes("NotAdmin")
def moderator_who_makes_moderators(api: Api) -> Answered:
    api.key("mod", moderator=True)
    return change(api, "somebody", "mod", moderator=True)


@provokes("NotAdmin")
def kudos_from_a_moderator(api: Api) -> Answered:
    api.key("mod", moderator=True)
    return change(api, "somebody", "mod", kudos=5)


@provokes("UserNotDeleted")
def undeleting_a_live_account(api: Api) -> Answered:
    api.key("mod", moderator=True)
    return change(api, "somebody", "mod", undelete=True)


@provokes("NotModerator")
def trust_for_oneself(api: Api) -> Answered:
    return change(api, "somebody", "somebody", trusted=True)


@provokes("NotModerator")
def name_for_somebody_else(api: Api) -> Answered:
    return change(api, "somebody", "another", username="mine now")


@provokes("NotPrivileged")
def passkey_without_being_a_service(api: Api) -> Answered:
    return change(api, "somebody", "somebody", generate_proxy_passkey=True)


@provokes("AnonForbiddenUserMod")
def changing_anonymous(api: Api) -> Answered:
    return api.call("PUT", "/users/0", key=api.key("mod", moderator=True), json={"trusted": True})


@provokes("ProfaneUserName")
def name_with_a_bad_word(api: Api) -> Answered:
    return change(api, "somebody", "somebody", username="5hit show")


@provokes("TooLongUserName")
def name_of_31_characters(api: Api) -> Answered:
    return change(api, "somebody", "somebody", username="n" * 31)


@provokes("ProfaneUserContact")
def contact_with_a_bad_word(api: Api) -> Answered:
    return change(api, "somebody", "somebody", contact="fuck@example.com")


@provokes("NotUserOrMod")
def deleting_somebody_else(api: Api) -> Answered:
    return api.call("DELETE", f"/users/{number_of(api, 'somebody')}", key=api.key("another"))


@provokes("CannotDeleteMod")
def deleting_a_moderator(api: Api) -> Answered:
    number = number_of(api, "mod", moderator=True)
    return api.call("DELETE", f"/users/{number}", key=api.key("mod"))


@provokes("DeletedUser")
def key_of_a_deleted_account(api: Api) -> Answered:
    key = api.key("somebody")
    api.call("DELETE", f"/users/{number_of(api, 'somebody')}", key=key)
    return api.ask(key)


@provokes("AnonForbidden")
def anonymous_lends_a_key(api: Api) -> Answered:
    return api.call("PUT", "/sharedkeys", key=ANONYMOUS, json={"kudos": 5})


def register(api: Api) -> Answered:
    """Register as anybody may."""
    response = api.http.post("/api/native/accounts", json={"username": "somebody"})
    return Answered(response.status_code, response.json(), response.headers)


@provokes("Forbidden", registrations_per_hour=0)
def registration_that_is_closed(api: Api) -> Answered:
    return register(api)


@provokes("TimeoutIP", registrations_per_hour=1)
def second_registration_within_an_hour(api: Api) -> Answered:
    register(api)
    return register(api)
