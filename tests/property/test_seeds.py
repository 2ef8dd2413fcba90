"""Seeds of a request's jobs: a lost job changes no image, and no two jobs make the same ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.images.settings import ImageSettings
from domain.requests.request import Request, RequestState
from domain.requests.specification import Requester, RequestSpecification, Terms
from domain.sealing import Sealed
from domain.workers.matching import Requirements

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=20)
IMAGES = 20
SEED = 77

endings = st.sampled_from(["none", "some", "all"])


def asked() -> Request:
    return Request.submit(
        UUID(int=1),
        RequestSpecification(
            prompt="a fox",
            negative_prompt="",
            settings=ImageSettings(512, 512, 20, "k_heun", 5.0, True, 1),
            requirements=Requirements((), 512 * 512, False, False, True, False),
            images=IMAGES,
            seed=SEED,
            seed_variation=3,
        ),
        Requester(UUID(int=2)),
        Terms(kudos=10.0, kudos_per_image=1.0, expires_at=LATER),
        seal=lambda text: Sealed(UUID(int=2), text),
        funded=True,
        timestamp=NOW,
    )


def sliced(request: Request, job_id: UUID, amount: int) -> tuple[int, int]:
    """Slice a job and return its number of images and its seed."""
    seed = request.seed_of_job(request.next_number, drawn=0)
    images = request.slice(
        job_id,
        worker_id=UUID(int=3),
        amount=amount,
        max_pixels=2**24,
        weight=1.0,
        expires_at=LATER,
        timestamp=NOW,
    )
    return images, seed


def made_again(request: Request) -> Request:
    """Return a request as its history brings it back."""
    again: Request | None = None
    for event in request.collect_events():
        again = event.mutate(again)
    assert again is not None
    return again


@given(st.data())
def test_however_jobs_are_lost_the_images_are_those_that_no_loss_would_give(
    data: st.DataObject,
) -> None:
    request = asked()
    open_jobs: dict[UUID, tuple[int, int]] = {}
    delivered: list[int] = []
    losses = 0
    for number in range(10, 1000):
        if request.state is not RequestState.OPEN:
            break
        if request.is_waiting and (not open_jobs or data.draw(st.booleans(), "slice")):
            open_jobs[UUID(int=number)] = sliced(request, UUID(int=number), amount=5)
        else:
            job_id = data.draw(st.sampled_from(sorted(open_jobs)), "job")
            images, seed = open_jobs.pop(job_id)
            is_lost = losses < 30 and data.draw(st.booleans(), "lost")
            losses += is_lost
            got = 0 if is_lost else images
            request.return_job(
                job_id, delivered=got, lost=images - got, expires_at=LATER, timestamp=NOW
            )
            delivered += [seed] * bool(got)
    assert sorted(delivered) == [SEED, SEED + 3, SEED + 6, SEED + 9]


@given(st.lists(st.tuples(st.integers(1, 20), endings), max_size=40))
def test_no_two_jobs_that_delivered_had_one_seed(jobs: list[tuple[int, str]]) -> None:
    request = asked()
    seeds: list[int] = []
    for number, (amount, ending) in enumerate(jobs, 10):
        if not request.is_waiting:
            break
        images, seed = sliced(request, UUID(int=number), amount)
        got = {"none": 0, "some": images // 2, "all": images}[ending]
        request.return_job(
            UUID(int=number), delivered=got, lost=images - got, expires_at=LATER, timestamp=NOW
        )
        seeds += [seed] * bool(got)
    assert len(seeds) == len(set(seeds))


def test_a_job_that_is_out_keeps_its_seed_while_others_are_lost() -> None:
    request = asked()
    first, second, third = (UUID(int=number) for number in range(10, 13))
    assert sliced(request, first, 5) == (5, SEED)
    assert sliced(request, second, 5) == (5, SEED + 3)
    request.return_job(first, delivered=0, lost=5, expires_at=LATER, timestamp=NOW)
    request = made_again(request)
    assert sliced(request, third, 5) == (5, SEED)
    assert sliced(request, UUID(int=13), 5) == (5, SEED + 6)
