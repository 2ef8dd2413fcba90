"""Leasing work: the best slice of what waits becomes one worker's job."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain.jobs.commands import NoJob, PoppedJob
from domain.jobs.image_ids import job_id_from
from domain.jobs.job import Job
from domain.jobs.leases import Lifetimes
from domain.jobs.model_affinity import LoadedModel, loaded_model_first
from domain.jobs.queue import Offer, WaitingQueue
from domain.ledger.core import ATTEMPTS, Core
from domain.ledger.endings import Endings
from domain.ledger.ports import SkippedRequests
from domain.models.catalogue import Models, baseline_of
from domain.ports import RandomSource
from domain.requests.batching import pixel_weight
from domain.requests.pricing import image_kudos
from domain.requests.request import Request
from domain.return_codes import Refused
from domain.sealing import Forgotten, Sealer
from domain.workers.directory import WorkerEntry
from domain.workers.matching import Candidate, model_for, refuses_words

_MOST_OPENED = 10
"""How many requests one pop opens only to find a word there that its worker refuses."""


@dataclass(slots=True)
class _Search:
    """One worker's search for work."""

    entry: WorkerEntry
    worker: Candidate
    skipped: set[UUID]
    """Requests that it is not given because of words in their prompts."""
    loaded: LoadedModel | None
    """What it has in memory, as far as it says so."""
    openings_left: int = _MOST_OPENED
    """How many more requests may be opened only to find such a word there."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The sealed texts of a request."""

    prompt: str
    negative_prompt: str
    extra_texts: tuple[tuple[str, str], ...]


class Leasing:
    """Finds the best work for a worker, and slices and leases it."""

    def __init__(
        self,
        core: Core,
        queue: WaitingQueue,
        endings: Endings,
        skipped_requests: SkippedRequests,
        *,
        models: Models,
        sealer: Sealer,
        random_source: RandomSource,
        lifetimes: Lifetimes,
    ) -> None:
        """Lease what waits in this queue."""
        self._core = core
        self._queue = queue
        self._endings = endings
        self._skipped_requests = skipped_requests
        self._models = models
        self._sealer = sealer
        self._random_source = random_source
        self._lifetimes = lifetimes

    def lease_best(
        self,
        entry: WorkerEntry,
        worker: Candidate,
        preferred: Collection[UUID],
        loaded: LoadedModel | None,
    ) -> PoppedJob | NoJob:
        """Lease a worker the best slice of what waits, or say that nothing does.

        :param preferred: accounts whose requests come before all others.
        :param loaded: the model that the worker has in memory, as far as it says so.
        :raises Refused: ``Locked``, when all that waits is in other workers' hands again and again.
        """
        blacklist = worker.capabilities.blacklist
        skipped = self._skipped_requests.by(worker.worker_id, blacklist)
        search = _Search(entry, worker, set(skipped), loaded)
        for _ in range(ATTEMPTS):
            ranked = self._queue.lanes_for(
                worker,
                preferred=preferred,
                only_preferred=entry.maintenance,
                excluding=search.skipped,
            )
            offers = loaded_model_first(ranked, worker.capabilities, loaded, self._core.now())
            if not offers or search.openings_left <= 0:
                return self._no_job(search)
            skipped_before = len(search.skipped)
            for offer in offers:
                if (popped := self._lease_from(offer, search)) is not None:
                    return popped
                if len(search.skipped) > skipped_before:
                    # What comes next in this lane may come after what other lanes have.
                    break
            else:
                # All that wait are in other workers' hands just now, and may have images left.
                popped = self._lease_from(offers[0], search, wait=True)
                if popped is not None:
                    return popped
        raise Refused("Locked")

    def _no_job(self, search: _Search) -> NoJob:
        skipped = search.skipped
        return NoJob(search.worker.worker_id, self._queue.waiting_among(skipped) if skipped else 0)

    def _lease_from(self, offer: Offer, search: _Search, *, wait: bool = False) -> PoppedJob | None:
        with self._core.transaction():
            request_id = self._queue.claim(offer, wait=wait, excluding=search.skipped)
            return self._lease(request_id, search) if request_id else None

    def _lease(self, request_id: UUID, search: _Search) -> PoppedJob | None:
        entry, worker = search.entry, search.worker
        request = self._endings.request(request_id)
        opened = self._open(request)
        if opened is None:
            # The requester was forgotten: the request can never be made, and must not block.
            self._endings.end_request(request, request.cancel)
            return None
        if self._refuses(worker, opened):
            search.skipped.add(request_id)
            search.openings_left -= 1
            self._skipped_requests.add(worker.worker_id, worker.capabilities.blacklist, request_id)
            return None
        now = self._core.now()
        loaded = search.loaded.name if search.loaded else None
        model = model_for(worker.capabilities, request.submitted.requirements.models, loaded)
        family = baseline_of(model, self._models)
        job_id = job_id_from(self._random_source.new_id())
        job_number = request.next_number
        images = request.slice(
            job_id,
            worker_id=worker.worker_id,
            amount=worker.capabilities.amount,
            max_pixels=worker.capabilities.max_pixels,
            weight=pixel_weight(request.submitted.settings, family),
            expires_at=now + self._endings.waiting(request),
            timestamp=now,
        )
        lease = self._lifetimes.lease(
            request.submitted.settings,
            family=family,
            extra_slow_worker=worker.capabilities.extra_slow,
        )
        job = Job.batch(
            job_id,
            images=images,
            request_id=request.id,
            account_id=request.submitted.account_id,
            worker_id=worker.worker_id,
            worker_name=entry.name,
            owner_id=entry.owner_id,
            model=model,
            seed=request.seed_of_job(job_number, self._random_source.new_seed()),
            lease_ends_at=now + lease,
            kudos_per_image=round(image_kudos(request.submitted.settings), 2),
            pixelsteps=request.submitted.settings.pixelsteps,
            timestamp=now,
        )
        self._core.save(request, job)
        return PoppedJob(
            job_id=job.id,
            request_id=request.id,
            image_ids=job.image_ids,
            worker_id=worker.worker_id,
            model=job.model,
            prompt=opened.prompt,
            negative_prompt=opened.negative_prompt,
            settings=request.submitted.settings,
            seed=job.seed,
            lease_ends_at=job.lease_ends_at,
            lease_seconds=round(lease.total_seconds()),
            r2=request.submitted.r2,
            censor_nsfw=request.submitted.censor_nsfw,
            source=request.submitted.source,
            extra_texts=opened.extra_texts,
            replication=request.submitted.replicates,
        )

    def _open(self, request: Request) -> _Opened | None:
        """Return the request's texts; None when the requester was forgotten."""
        negative, extra = request.submitted.negative_prompt, request.submitted.extra_texts
        try:
            return _Opened(
                prompt=self._sealer.open(request.submitted.prompt),
                negative_prompt=self._sealer.open(negative) if negative else "",
                extra_texts=(
                    tuple((text, ref) for text, ref in json.loads(self._sealer.open(extra)))
                    if extra
                    else ()
                ),
            )
        except Forgotten:
            return None

    @staticmethod
    def _refuses(worker: Candidate, opened: _Opened) -> bool:
        extra = (text for text, _ in opened.extra_texts)
        return refuses_words(worker.capabilities, opened.prompt, opened.negative_prompt, *extra)
