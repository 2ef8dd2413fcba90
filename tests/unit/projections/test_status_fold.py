"""The fold of a request's status: every image in one place, whatever the order within a save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from uuid import uuid4

import pytest
from eventsourcing.domain import Aggregate

from domain.images.settings import ImageSettings
from domain.jobs.image_ids import job_id_from
from domain.jobs.job import ImageState, Job
from domain.requests.request import Request, RequestState
from domain.requests.specification import Requester, RequestSpecification, Terms
from domain.sealing import Sealed
from domain.workers.matching import Requirements
from projections.status.fold import Tracked, evolve, evolve_all
from projections.view import NotFollowing, RecordedEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=20)


class History:
    """Streams of one request and its jobs, and what they would have the log say, save by save."""

    def __init__(self, images: int) -> None:
        self.request = Request.submit(
            uuid4(),
            RequestSpecification(
                prompt="a fox",
                negative_prompt="",
                settings=ImageSettings(512, 512, 20, "k_heun", 5.0, True, 1),
                requirements=Requirements((), 512 * 512, False, False, True, False),
                images=images,
            ),
            Requester(uuid4(), client_agent="test:1:unit"),
            Terms(kudos=10.0, kudos_per_image=1.0, expires_at=LATER),
            seal=lambda text: Sealed(uuid4(), text),
            funded=True,
            timestamp=NOW,
        )
        self.saves: list[list[Sequence[Aggregate.Event]]] = []
        self.save()

    def save(self, *jobs: Job) -> None:
        streams = [
            [event for event in stream.collect_events() if isinstance(event, Aggregate.Event)]
            for stream in (self.request, *jobs)
        ]
        self.saves.append([stream for stream in streams if stream])

    def batch(self, amount: int) -> Job:
        job_id = job_id_from(uuid4())
        images = self.request.slice(
            job_id,
            worker_id=uuid4(),
            amount=amount,
            max_pixels=2048 * 2048,
            weight=1.0,
            expires_at=LATER,
            timestamp=NOW,
        )
        job = Job.batch(
            job_id,
            images=images,
            request_id=self.request.id,
            account_id=self.request.submitted.account_id,
            worker_id=uuid4(),
            worker_name="worker",
            owner_id=uuid4(),
            model="A",
            seed=1,
            lease_ends_at=LATER,
            kudos_per_image=1.5,
            pixelsteps=7_864_320,
            timestamp=NOW,
        )
        self.save(job)
        return job

    def deliver(self, job: Job, *places: int) -> None:
        for place in places:
            job.accept_image(
                job.image_ids[place],
                digest=f"{place:064x}",
                seed=place,
                state=ImageState.OK,
                timestamp=NOW,
            )
            self.take_back_if_over(job)

    def take_back_if_over(self, job: Job) -> None:
        if not job.is_leased:
            self.request.return_job(
                job.id,
                delivered=len(job.delivered),
                lost=job.lost,
                expires_at=LATER,
                timestamp=NOW,
            )
        self.save(job)

    def cancel(self, *jobs: Job) -> None:
        self.request.cancel(
            delivered_by_open_jobs=sum(len(job.delivered) for job in jobs), timestamp=NOW
        )
        for job in jobs:
            job.cancel(timestamp=NOW)
        self.save(*jobs)

    def records(
        self, order: Callable[[Sequence[Sequence[Aggregate.Event]]], Sequence[int]] | None = None
    ) -> list[RecordedEvent]:
        """Return the log, with the streams of each save in the order that ``order`` gives."""
        events: list[Aggregate.Event] = []
        for streams in self.saves:
            places = range(len(streams)) if order is None else order(streams)
            events.extend(event for place in places for event in streams[place])
        return [RecordedEvent(position, event) for position, event in enumerate(events, start=1)]


def folded(records: Sequence[RecordedEvent]) -> Tracked:
    tracked = evolve_all(None, records)
    assert tracked is not None
    return tracked


def nth_order(place: int, streams: Sequence[object]) -> Sequence[int]:
    orders = list(permutations(range(len(streams))))
    return orders[place % len(orders)]


def backwards(streams: Sequence[object]) -> Sequence[int]:
    return range(len(streams))[::-1]


def counts(tracked: Tracked) -> tuple[int, int, int, int]:
    status = tracked.status
    return status.waiting, status.processing, status.finished, status.restarted


def test_a_new_request_waits_with_all_its_images() -> None:
    history = History(images=5)
    status = folded(history.records()).status
    assert (status.waiting, status.processing, status.finished) == (5, 0, 0)
    assert status.state is RequestState.OPEN
    assert status.pixelsteps == 40 * 512 * 512
    assert not status.done


def test_images_move_from_waiting_to_processing_to_finished() -> None:
    history = History(images=5)
    job = history.batch(amount=3)
    assert counts(folded(history.records())) == (2, 3, 0, 0)
    history.deliver(job, 0, 2)
    tracked = folded(history.records())
    assert counts(tracked) == (2, 1, 2, 0)
    assert [generation.batch_index for generation in tracked.status.generations] == [0, 2]
    assert tracked.status.generations[0].worker_id == job.worker_id
    assert tracked.status.generations[0].model == "A"


def test_a_faulted_image_is_in_processing_until_its_job_ends_and_waits_again_then() -> None:
    history = History(images=3)
    job = history.batch(amount=3)
    job.fault(job.image_ids[1], timestamp=NOW)
    history.take_back_if_over(job)
    assert counts(folded(history.records())) == (0, 3, 0, 0)
    history.deliver(job, 0, 2)
    assert counts(folded(history.records())) == (1, 0, 2, 1)


def test_delivered_images_stay_when_their_job_fails() -> None:
    history = History(images=4)
    job = history.batch(amount=4)
    history.deliver(job, 3)
    job.fail("out of memory", timestamp=NOW)
    history.take_back_if_over(job)
    tracked = folded(history.records())
    assert counts(tracked) == (3, 0, 1, 3)
    assert len(tracked.status.generations) == 1


def test_nothing_waits_once_a_request_is_cancelled_and_what_was_made_stays() -> None:
    history = History(images=6)
    job = history.batch(amount=4)
    history.deliver(job, 0)
    history.cancel(job)
    tracked = folded(history.records())
    assert counts(tracked) == (0, 0, 1, 0)
    assert tracked.status.state is RequestState.CANCELLED
    assert tracked.status.done
    assert not tracked.status.faulted
    assert not tracked.jobs


def test_jobs_that_ended_are_not_followed_any_more() -> None:
    history = History(images=4)
    over, open_job = history.batch(amount=2), history.batch(amount=2)
    history.deliver(open_job, 0)
    history.deliver(over, 0, 1)
    tracked = folded(history.records())
    assert tracked.versions == {history.request.id: history.request.version, open_job.id: 2}


def test_the_order_of_streams_within_a_save_makes_no_difference() -> None:
    history = History(images=5)
    first, second = history.batch(amount=2), history.batch(amount=2)
    history.deliver(first, 0, 1)
    history.deliver(second, 1)
    second.fail("gone", timestamp=NOW)
    history.take_back_if_over(second)
    third = history.batch(amount=2)
    history.cancel(third)
    expected = folded(history.records())
    for place in range(6):
        tracked = folded(history.records(partial(nth_order, place)))
        assert counts(tracked) == counts(expected)
        assert tracked.versions == expected.versions
        assert {g.image_id for g in tracked.status.generations} == {
            g.image_id for g in expected.status.generations
        }


def test_counts_add_up_after_every_single_event() -> None:
    history = History(images=7)
    job, other = history.batch(amount=4), history.batch(amount=2)
    history.deliver(job, 0, 1)
    other.fail("gone", timestamp=NOW)
    history.take_back_if_over(other)
    history.deliver(job, 2, 3)
    last = history.batch(amount=20)
    history.deliver(last, 0, 1, 2)
    for order in (None, backwards):
        tracked = None
        for recorded in history.records(order):
            tracked = evolve(tracked, recorded)
            waiting, processing, finished, _ = counts(tracked)
            assert waiting >= 0
            assert processing >= 0
            if not tracked.status.is_over:
                assert waiting + processing + finished == 7
        assert tracked is not None
        assert tracked.status.state is RequestState.COMPLETED
        assert counts(tracked) == (0, 0, 7, 2)


def test_an_event_that_cannot_be_the_next_one_is_refused() -> None:
    history = History(images=2)
    job = history.batch(amount=2)
    history.deliver(job, 0)
    submitted, sliced, batched, generated = history.records()
    with pytest.raises(NotFollowing):
        evolve(None, sliced)
    with pytest.raises(NotFollowing):
        evolve(evolve(None, submitted), generated)
    with pytest.raises(NotFollowing):
        evolve(folded([submitted, sliced]), generated)
    assert evolve(folded([submitted, batched]), generated).status.finished == 1
