"""``hoard generate`` follows a request on a real server, step by step."""

from __future__ import annotations

import threading

from infrastructure.cli.requests.api_client import Checked, V2Client
from infrastructure.cli.requests.progress_display import Step
from infrastructure.cli.requests.watcher import watch
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.streaming import served
from tests.view_world import ViewWorld
from tests.waiting import wait_until


class Shown:
    """Somewhere to show progress that remembers it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def progress(self, checked: Checked) -> None:
        self.seen.append(f"{checked.waiting}/{checked.processing}/{checked.finished}")

    def step(self, step: Step) -> None:
        self.seen.append(f"step {step.step} of {step.steps}")

    def away(self, reason: str) -> None:
        self.seen.append("away")


def test_it_shows_what_happens_as_it_happens(world: ViewWorld) -> None:
    request_id = world.submit(2)
    shown, ended = Shown(), []
    with served(world.hoard) as api, V2Client(api.url, ANONYMOUS_KEY, client_agent="t") as client:

        def follow() -> None:
            ended.append(watch(client, str(request_id), shown))

        following = threading.Thread(target=follow)
        following.start()
        wait_until(lambda: shown.seen == ["2/0/0"], "the place in the queue")
        job = world.pop()
        wait_until(lambda: shown.seen[-1] == "0/2/0", "the start")
        world.hoard.wakeups.progress(job.job_id, 5, 20)
        wait_until(lambda: shown.seen[-1] == "step 5 of 20", "the step")
        world.deliver(job, 0)
        wait_until(lambda: shown.seen[-1] == "0/1/1", "the image")
        world.deliver(job, 1)
        following.join()
    assert shown.seen[-1] == "0/0/2"
    assert ended[0].done


def test_it_goes_on_by_asking_when_the_server_keeps_no_streams(world: ViewWorld) -> None:
    request_id = world.submit()
    shown = Shown()
    with served(world.hoard) as api, V2Client(api.url, ANONYMOUS_KEY, client_agent="t") as client:
        api.hub.leave()
        following = threading.Thread(
            target=watch, args=(client, str(request_id), shown), kwargs={"interval": 0.01}
        )
        following.start()
        wait_until(lambda: shown.seen, "the first answer")
        world.deliver(world.pop())
        following.join()
    assert shown.seen[-1] == "0/0/1"
