"""What is refused of those who look up, change and write to workers."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes

NOBODYS_ID = "11111111-1111-4111-8111-111111111111"


def worker_of(api: Api, name: str = "a worker") -> str:
    """Return the id of a worker of the account ``owner``, registering it first if need be."""
    api.pop(name=name)
    return str(api.call("GET", f"/workers/name/{name}").body["id"])


def change(api: Api, by: str, **fields: object) -> Answered:
    """Change the worker as an account."""
    return api.call("PUT", f"/workers/{worker_of(api)}", key=api.key(by), json=fields)


@provokes("WorkerNotFound")
def worker_that_nobody_runs(api: Api) -> Answered:
    return api.call("GET", f"/workers/{NOBODYS_ID}")


@provokes("WorkerNotFound")
def worker_of_a_name_that_none_has(api: Api) -> Answered:
    return api.call("GET", "/workers/name/nobody")


@provokes("NoWorkerModSelected")
def nothing_about_a_worker(api: Api) -> Answered:
    return change(api, "owner")


@provokes("NotOwner")
def maintenance_of_somebody_elses_worker(api: Api) -> Answered:
    return change(api, "another", maintenance=True)


@provokes("NotModerator")
def deleting_somebody_elses_worker(api: Api) -> Answered:
    return api.call("DELETE", f"/workers/{worker_of(api)}", key=api.key("another"))


@provokes("WorkermessageNotFound")
def message_that_there_is_not(api: Api) -> Answered:
    return api.call("GET", "/workers/messages/11111111-1111-4111-8111-111111111111")


@provokes("WorkermessageNotFound")
def message_of_no_id(api: Api) -> Answered:
    path = "/workers/messages/nothing"
    return api.call("DELETE", path, key=api.key("mod", moderator=True))


@provokes("NotModerator")
def pausing_without_being_a_moderator(api: Api) -> Answered:
    return change(api, "owner", paused=True)


@provokes("ProfaneWorkerInfo")
def info_with_a_bad_word(api: Api) -> Answered:
    return change(api, "owner", info="a shit worker")


@provokes("ProfaneWorkerName")
def new_name_with_a_bad_word(api: Api) -> Answered:
    return change(api, "owner", name="a fucking worker")


@provokes("TooLongWorkerName")
def new_name_of_101_characters(api: Api) -> Answered:
    return change(api, "owner", name="n" * 101)


@provokes("WorkerNameAlreadyExists")
def new_name_that_another_has(api: Api) -> Answered:
    api.pop(api.key("another"), name="another worker")
    return change(api, "owner", name="another worker")


@provokes("AnonForbiddenWorker")
def anonymous_changes_a_worker(api: Api) -> Answered:
    worker_id = worker_of(api)
    return api.call("PUT", f"/workers/{worker_id}", key="0000000000", json={"maintenance": True})


@provokes("WorkerFlaggedMaintenance")
def ending_the_maintenance_of_a_suspect(api: Api) -> Answered:
    worker_id = worker_of(api)
    number = api.call("GET", "/find_user", key=api.key("owner")).body["id"]
    mod = api.key("mod", moderator=True)
    api.call("PUT", f"/users/{number}", key=mod, json={"flagged": True})
    return api.call(
        "PUT", f"/workers/{worker_id}", key=api.key("owner"), json={"maintenance": False}
    )


@provokes("WorkerFlaggedMaintenance")
def work_for_a_suspect(api: Api) -> Answered:
    return api.pop(api.key("suspect", flagged=True), name="a suspect")


@provokes("WorkerNotFound")
def worker_of_a_name_that_none_can_have(api: Api) -> Answered:
    return api.call("GET", "/workers/name/%00")


@provokes("MessagesOnlyOwnWorkers")
def message_to_somebody_elses_worker(api: Api) -> Answered:
    body = {"worker_id": worker_of(api), "message": "hello"}
    return api.call("POST", "/workers/messages", key=api.key("another"), json=body)


@provokes("NotServed")
def joining_a_team(api: Api) -> Answered:
    return change(api, "owner", team=NOBODYS_ID)
