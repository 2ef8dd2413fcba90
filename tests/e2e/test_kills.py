from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import redis

from domain.jobs.image_ids import image_ids_of
from domain.jobs.job import ImageState, Job
from domain.return_codes import Refused
from infrastructure.bootstrap import Hoard, assemble
from infrastructure.settings.environment import load_settings
from tests.e2e.program import Program, frozen
from tests.waiting import DEADLINE_SECONDS, wait_until
from workers.broker.app import WORK_QUEUE

QUICK: dict[str, Any] = {"lease_minimum_seconds": 1.0, "sweep_seconds": 0.5}
"""Settings under which a lease holds for 30 s and what its work adds, the shortest there is."""


@pytest.fixture(scope="module")
def hoard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for all tests that kill some of it, or start it again after they killed it."""
    with Program(tmp_path_factory.mktemp("kills") / "data", api_processes=2, **QUICK) as program:
        yield program


def opened(hoard: Program) -> Hoard:
    """The same installation, opened beside the running one."""
    return assemble(load_settings(data=hoard.data))


def jobs_of(hoard: Hoard, request_id: str) -> list[Job]:
    """A request's jobs in the order of their slices."""
    records = hoard.storage.log.after(0, 100_000)
    found = [
        record.event.originator_id
        for record in records
        if isinstance(record.event, Job.Batched) and str(record.event.request_id) == request_id
    ]
    return [hoard.ledger.repository.get(job_id) for job_id in found]


def ask_for_a_long_batch(hoard: Program) -> str:
    """Ask for one batch that takes long enough to be caught, and is leased for 31 s or so."""
    return hoard.ask(2, steps=15, sampler_name="k_euler")


def test_images_of_a_killed_worker_are_made_by_its_successor_and_its_late_result_is_refused(
    hoard: Program,
) -> None:
    request_id = ask_for_a_long_batch(hoard)
    hoard.wait_until_at_work(request_id)
    os.killpg(hoard.pid("worker-1"), signal.SIGKILL)

    status = hoard.wait_until_done(request_id)

    assert status["finished"] == 2
    assert status["restarted"] >= 2
    beside = opened(hoard)
    # On a busy machine the successor, too, may have run out of time before it succeeded.
    killed, *_, successor = jobs_of(beside, request_id)
    assert killed.delivered == set()
    assert len(successor.delivered) == 2
    with pytest.raises(Refused, match="AbortedGen"):
        beside.ledger.jobs.submit_image(
            killed.image_ids[0],
            owner_id=beside.operator.account_id,
            digest="0" * 64,
            seed=1,
            state=ImageState.OK,
        )
    beside.close()
    assert hoard.status(request_id) == status
    assert {UUID(image["id"]) for image in status["generations"]} == set(
        image_ids_of(successor.id, 2)
    )


def test_a_killed_pool_process_is_replaced_and_goes_on(hoard: Program) -> None:
    killed = hoard.pool_process()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: hoard.pool_process() != killed, "another pool process")

    assert hoard.wait_until_done(hoard.ask(2))["finished"] == 2


def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(hoard: Program) -> None:
    request_id = ask_for_a_long_batch(hoard)
    hoard.wait_until_at_work(request_id)
    with frozen(hoard.pool_process()):
        wait_until(lambda: hoard.check(request_id)["restarted"] == 2, "the lease to end")

    status = hoard.wait_until_done(request_id)

    beside = opened(hoard)
    late, *_, again = jobs_of(beside, request_id)
    assert (late.delivered, len(again.delivered)) == (set(), 2)
    beside.close()
    assert status["finished"] == 2


def test_a_killed_api_is_back_and_has_all_that_it_answered(hoard: Program) -> None:
    request_id = hoard.ask(2)
    killed = hoard.pid("api")
    os.kill(killed, signal.SIGKILL)

    assert len(hoard.wait_until_done(request_id)["generations"]) == 2
    assert hoard.pid("api") != killed


def test_no_connection_is_refused_while_the_api_is_restarted(hoard: Program) -> None:
    os.kill(hoard.pid("api"), signal.SIGKILL)

    # Made anew: the client's own connection died with the process that held it.
    assert httpx.get(f"{hoard.client.base_url}status/heartbeat", timeout=60).status_code == 200


def test_a_killed_projector_is_back_and_the_request_completes(hoard: Program) -> None:
    first = hoard.pid("projector")
    os.kill(first, signal.SIGKILL)
    request_id = hoard.ask(2)

    assert len(hoard.wait_until_done(request_id)["generations"]) == 2
    assert hoard.pid("projector") != first


def test_with_redis_killed_and_every_message_lost_the_request_completes(hoard: Program) -> None:
    with frozen(hoard.pid("worker-1")):
        request_id = hoard.ask(2)
        first = hoard.pid("redis")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: hoard.pid("redis") != first, "another Redis")

    assert len(hoard.wait_until_done(request_id)["generations"]) == 2


def test_a_request_that_comes_while_redis_is_gone_completes(hoard: Program) -> None:
    with frozen(hoard.pid("redis")):
        request_id = hoard.ask(2)
        assert hoard.check(request_id)["waiting"] == 2

    assert len(hoard.wait_until_done(request_id)["generations"]) == 2


def test_a_message_that_is_taken_by_a_worker_that_dies_is_not_missed(hoard: Program) -> None:
    hoard.wait_until_done(hoard.ask(1))
    os.killpg(hoard.pid("worker-1"), signal.SIGKILL)
    request_id = hoard.ask(2)

    assert len(hoard.wait_until_done(request_id)["generations"]) == 2


def test_after_sigkill_of_the_supervisor_nothing_runs_and_a_restart_goes_on(
    hoard: Program,
) -> None:
    done = hoard.ask(1)
    hoard.wait_until_done(done)
    at_work = ask_for_a_long_batch(hoard)
    hoard.wait_until_at_work(at_work)
    waiting = hoard.ask(2)

    # Waits until every process that descends from it is gone.
    hoard.kill()
    hoard.start()

    assert len(hoard.status(done)["generations"]) == 1
    assert hoard.wait_until_done(waiting)["finished"] == 2
    assert hoard.wait_until_done(at_work)["finished"] == 2


def test_processes_that_outlived_their_supervisor_are_ended_by_the_next_start(
    tmp_path: Path, served: Program
) -> None:
    with Program(tmp_path / "data", workers=0) as hoard:
        # A copy of a process file whose process is alive, as a supervisor without a kernel's help
        # would leave it behind: one of another program, which starts it again when it ends.
        left = served.data / "run" / "projector.pid"
        hoard.stop()
        first = served.pid("projector")
        (tmp_path / "data" / "run" / "projector.pid").write_text(left.read_text())
        hoard.start()
        wait_until(lambda: served.pid("projector") != first, "the stray process to be ended")


def test_whatever_is_killed_every_request_that_was_taken_completes(hoard: Program) -> None:
    chance = random.Random(1)
    taken: list[str] = []
    for victim in chance.sample(["api", "projector", "redis", "worker-1"], 4):
        taken.append(hoard.ask(chance.randint(1, 3)))
        os.killpg(hoard.pid(victim), signal.SIGKILL)
        try:
            taken.append(hoard.ask(chance.randint(1, 3)))
        except httpx.TransportError:
            # The API died under it: nothing was promised.
            assert victim == "api"
    hoard.kill()
    hoard.start()

    for request_id in taken:
        status = hoard.wait_until_done(request_id, 2 * DEADLINE_SECONDS)
        assert not status["faulted"]
        ids = {image["id"] for image in status["generations"]}
        assert len(ids) == status["finished"]


def test_the_queue_of_wakeups_stays_short_while_nobody_listens(tmp_path: Path) -> None:
    with Program(tmp_path / "data", workers=0, sweep_seconds=0.05) as hoard:
        for _ in range(20):
            hoard.ask(1)
        socket = load_settings(data=hoard.data).redis_socket
        client = redis.Redis(unix_socket_path=str(socket))
        wait_until(lambda: client.llen(WORK_QUEUE), "a wake-up")
        for _ in range(20):
            hoard.ask(1)
        assert client.llen(WORK_QUEUE) <= 2
        client.close()
