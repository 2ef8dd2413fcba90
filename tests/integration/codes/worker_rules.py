"""What is refused of workers by the rules about who may work, and under which names."""

from __future__ import annotations

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


@provokes("WorkerInviteOnly")
def new_worker_without_invitation(api: Api) -> Answered:
    api.hoard.ledger.modes.change(invite_only=True)
    return api.pop()


@provokes("ProfaneWorkerName")
def name_with_a_word_of_the_list(api: Api) -> Answered:
    return api.pop(name="the fuck")


@provokes("ProfaneBridgeAgent")
def agent_with_a_word_of_the_list(api: Api) -> Answered:
    return api.pop(bridge_agent="fuck:1:nobody")


@provokes("TooManySameIPs", workers_per_address=2)
def third_worker_at_one_address(api: Api) -> Answered:
    for name in ("one", "two"):
        assert api.pop(api.key(name), name=name).status == 200
    return api.pop(api.key("three"), name="three")


@provokes("InvalidPriorityUsername")
def priority_for_no_name(api: Api) -> Answered:
    return api.pop(priority_usernames=["somebody"])


@provokes("InvalidPriorityUsername")
def priority_for_a_number_that_nobody_has(api: Api) -> Answered:
    return api.pop(priority_usernames=["somebody#999999"])


@provokes("InvalidPriorityUsername")
def priority_for_twenty_one(api: Api) -> Answered:
    return api.pop(priority_usernames=["Anonymous#0"] * 21)
