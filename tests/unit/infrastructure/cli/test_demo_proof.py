from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.account import ANONYMOUS_ID
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.cli.demo.proof import Slice, compare, replayed, slice_of
from infrastructure.cli.history.log_reader import history_of
from infrastructure.cli.requests.api_client import Status
from projections.status.fold import RequestStatus


def made(hoard: Hoard, *, images: int, amount: int) -> UUID:
    """A request of which every image was made; image ``i`` of each job is the text ``i``."""
    settings = ImageSettings(512, 512, 4, "lcm", 1.0, True, 1)
    wanted = Requirements((), settings.pixels, False, False, True, False)
    request_id, _ = hoard.ledger.requests.submit(
        SubmitRequest(
            Requester(ANONYMOUS_ID), RequestSpecification("a circle", "", settings, wanted, images)
        )
    )
    owner = hoard.operator.account_id
    offered = Capabilities(("scenes",), amount, 2048**2, True, 1, False, "test:1:none")
    pop = PopJob(owner, True, "worker", offered)
    while isinstance(job := hoard.ledger.jobs.pop(pop), PoppedJob):
        for place, image_id in enumerate(job.image_ids):
            hoard.ledger.jobs.submit_image(
                image_id,
                owner_id=owner,
                digest=hashlib.sha256(str(place).encode()).hexdigest(),
                seed=job.seed,
                state=ImageState.OK,
            )
    return request_id


def served(status: RequestStatus) -> dict[str, Any]:
    """The body that the v2 API gives for a status."""
    return {
        "waiting": status.waiting,
        "processing": status.processing,
        "finished": status.finished,
        "restarted": status.restarted,
        "done": status.done,
        "faulted": status.faulted,
        "kudos": round(status.kudos),
        "generations": [
            {
                "img": "",
                "seed": str(image.seed),
                "id": str(image.image_id),
                "worker_name": image.worker_name,
                "model": image.model,
                "state": image.state.value,
                "gen_metadata": [
                    {"type": "batch_index", "value": "see_ref", "ref": str(image.batch_index)}
                ],
            }
            for image in status.generations
        ],
    }


def files(status: RequestStatus) -> Mapping[str, bytes]:
    return {str(image.image_id): str(image.batch_index).encode() for image in status.generations}


def unequal(
    body: dict[str, Any], fetched: Mapping[str, bytes], status: RequestStatus
) -> Sequence[str]:
    compared = compare(Status.model_validate(body), fetched, status)
    return [row.fact for row in compared if not row.is_equal]


def test_one_batch_is_told_from_two(hoard: Hoard) -> None:
    one = slice_of(history_of(hoard.storage.log, made(hoard, images=20, amount=20)))
    assert one == Slice(jobs=1, batches=(20,), amount=20, max_pixels=2048**2)
    assert one.is_one_batch_of(20)
    assert not one.is_one_batch_of(19)
    two = slice_of(history_of(hoard.storage.log, made(hoard, images=20, amount=10)))
    assert (two.jobs, two.batches) == (2, (10, 10))
    assert not two.is_one_batch_of(20)


def test_nothing_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="no worker"):
        slice_of([])
    with pytest.raises(ValueError, match="empty history"):
        replayed([])


def test_the_events_give_the_status_that_is_served(hoard: Hoard) -> None:
    request_id = made(hoard, images=3, amount=2)
    status = replayed(history_of(hoard.storage.log, request_id))
    assert status == hoard.views.status.status(request_id)
    assert unequal(served(status), files(status), status) == []


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"finished": 2}, "finished"),
        ({"waiting": 1}, "waiting"),
        ({"done": False}, "done"),
        ({"kudos": 0.5}, "kudos"),
    ],
)
def test_a_count_that_is_served_wrongly_is_found(
    hoard: Hoard, change: dict[str, Any], fact: str
) -> None:
    status = replayed(history_of(hoard.storage.log, made(hoard, images=3, amount=20)))
    assert unequal(served(status) | change, files(status), status) == [fact]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"seed": "1"}, "seeds"),
        ({"gen_metadata": []}, "batch indexes"),
        ({"worker_name": "somebody else"}, "workers, models and states"),
    ],
)
def test_an_image_that_is_served_wrongly_is_found(
    hoard: Hoard, change: dict[str, Any], fact: str
) -> None:
    status = replayed(history_of(hoard.storage.log, made(hoard, images=3, amount=20)))
    body = served(status)
    body["generations"][2] |= change
    assert unequal(body, files(status), status) == [fact]


def test_a_file_that_is_not_the_recorded_one_is_found(hoard: Hoard) -> None:
    status = replayed(history_of(hoard.storage.log, made(hoard, images=3, amount=20)))
    swapped = dict(files(status)) | {str(status.generations[0].image_id): b"another picture"}
    assert unequal(served(status), swapped, status) == ["SHA-256 of the files"]
