"""What is refused of workers that pop and submit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from domain.jobs.commands import PopJob
from domain.jobs.image_ids import job_of
from domain.workers.matching import Capabilities
from domain.workers.worker import Worker, WorkerKind
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes


@provokes("UnsupportedModel")
def worker_without_models(api: Api) -> Answered:
    return api.pop(models=[])


@provokes("TooLongWorkerName")
def name_of_101_characters(api: Api) -> Answered:
    return api.pop(name="n" * 101)


@provokes("WrongCredentials")
def name_of_somebody_elses_worker(api: Api) -> Answered:
    api.pop(api.key("first"), name="a worker")
    return api.pop(api.key("second"), name="a worker")


@provokes("AnonForbiddenWorker")
def anonymous_worker(api: Api) -> Answered:
    return api.pop(ANONYMOUS_KEY)


@provokes("TooManyWorkers")
def fourth_worker_without_trust(api: Api) -> Answered:
    for number in range(3):
        assert api.pop(name=f"worker {number}").status == 200
    return api.pop(name="worker 3")


@provokes("TooManyWorkersTrusted")
def twenty_first_worker(api: Api) -> Answered:
    key = api.key("owner", trusted=True)
    for number in range(20):
        assert api.pop(key, name=f"worker {number}").status == 200
    return api.pop(key, name="worker 20")


@provokes("WrongCredentials")
def image_of_somebody_elses_job(api: Api) -> Answered:
    api.asked()
    return api.submit(api.popped()["id"], api.key("somebody else"))


@provokes("InvalidJobID")
def image_of_no_job(api: Api) -> Answered:
    return api.submit(str(uuid4()))


@provokes("DuplicateGen")
def same_image_twice(api: Api) -> Answered:
    api.asked(n=2)
    image_id = api.popped()["ids"][0]
    assert api.submit(image_id).status == 200
    return api.submit(image_id)


@provokes("AbortedGen")
def image_of_a_cancelled_request(api: Api) -> Answered:
    request_id = api.asked()
    image_id = api.popped()["id"]
    api.call("DELETE", f"/generate/status/{request_id}")
    return api.submit(image_id)


@provokes("AbortedGen")
def image_after_the_lease_has_ended(api: Api) -> Answered:
    api.asked()
    image_id = api.popped()["id"]
    api.clock.advance(timedelta(days=1))
    api.hoard.ledger.jobs.expire_lease(job_of(UUID(image_id)))
    return api.submit(image_id)


@provokes("ImageValidationFailed")
def bytes_that_are_no_image(api: Api) -> Answered:
    api.asked()
    return api.submit(api.popped()["id"], generation="aGVsbG8=")


@provokes("ServiceUnavailable")
def folder_of_images_is_gone(api: Api) -> Answered:
    api.asked()
    image_id = api.popped()["id"]
    folder = api.hoard.settings.blob_folder
    folder.rename(folder.with_name("somewhere else"))
    folder.write_text("no folder any more")
    return api.submit(image_id)


@provokes("Locked")
def somebody_is_faster_every_time(api: Api) -> Answered:
    """Between a pop's look at its worker and its word, the worker declares something else."""
    api.pop(threads=1)
    entry = api.hoard.inline.directory.worker_by_name("a worker")
    assert entry is not None
    _change_at_every_look(api, entry.worker_id)
    return api.pop(threads=2)


def _change_at_every_look(api: Api, worker_id: UUID) -> None:
    """Have the clock, whenever it is looked at, let another command change the worker first."""
    ledger, look = api.hoard.ledger, api.clock.now

    def changed_meanwhile() -> datetime:
        worker: Worker = ledger.repository.get(worker_id)
        worker.set_paused(not worker.paused, timestamp=look())
        ledger.save(worker)
        return look()

    api.clock.now = changed_meanwhile  # type: ignore[method-assign]


@provokes("WorkerMaintenance")
def worker_in_maintenance(api: Api) -> Answered:
    api.pop()
    _change(api, lambda worker, now: worker.set_maintenance(True, message="", timestamp=now))
    return api.pop()


@provokes("WorkerFlaggedMaintenance")
def worker_that_lost_too_many_images(api: Api) -> Answered:
    api.pop()
    _change(api, lambda worker, now: worker.flag(10, timestamp=now))
    return api.pop()


@provokes("PolymorphicNameConflict")
def name_of_a_worker_of_the_installation(api: Api) -> Answered:
    api.hoard.ledger.jobs.pop(
        PopJob(
            owner_id=api.hoard.operator.account_id,
            owner_trusted=True,
            worker_name="a worker",
            kind=WorkerKind.IN_CLUSTER,
            capabilities=Capabilities(
                models=("a model",),
                amount=1,
                max_pixels=512 * 512,
                nsfw=False,
                threads=1,
                extra_slow=False,
                bridge_agent="hoard:1:operator",
            ),
        )
    )
    return api.pop(name="a worker")


def _change(api: Api, change: Callable[[Worker, datetime], None]) -> None:
    """Change the worker called "a worker" as its owner or the operators do."""
    entry = api.hoard.inline.directory.worker_by_name("a worker")
    assert entry is not None
    worker: Worker = api.hoard.ledger.repository.get(entry.worker_id)
    change(worker, api.clock.now())
    api.hoard.ledger.save(worker)
