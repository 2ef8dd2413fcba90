"""The ledger as a remote worker sees it: another server, behind its v2 API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.provenance import Provenance
from domain.images.sampling import seed_from_text
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.models.catalogue import Models
from domain.ports import Clock, RandomSource
from domain.return_codes import Refused
from domain.service.fetching import Fetcher
from workers.remote.images import JobImages, Submission, Uploader, sources_of
from workers.remote.pop import (
    AnswerNotUnderstood,
    Message,
    Offer,
    PopAnswer,
    misfit_reason,
    pop_body,
    read_answer,
    read_offer,
)
from workers.remote.server import NotNow, Server, ServerAway, refused_pop

_log = structlog.get_logger(__name__)

UNKNOWN_ID = UUID(int=0)
"""Stands for ids that a server keeps to itself: of the request, of the worker and of its owner."""

_CHECK_EVERY = timedelta(seconds=5)


class Outbound(Fetcher, Uploader, Protocol):
    """Where the addresses of a server's answers lead, and nowhere else than they may."""


@dataclass
class _CurrentJob:
    """The job at hand."""

    image_ids: tuple[UUID, ...]
    seed: int
    submission: Submission
    probe: str | None
    """The upload address of one of its images."""
    ends_at: datetime
    checked_at: datetime
    open: set[UUID] = field(default_factory=set)
    """The images of which the server has heard nothing yet."""


class RemoteJobs:
    """Pops, submits and faults over HTTP, one job at a time.

    A job's id is that of its first image: servers name no other.
    """

    def __init__(
        self,
        server: Server,
        outbound: Outbound,
        job_images: JobImages,
        *,
        models: Models,
        clock: Clock,
        random_source: RandomSource,
    ) -> None:
        """Serve this server.

        :param models: the catalogue, which has the families of models.
        """
        self._server = server
        self._outbound = outbound
        self._job_images = job_images
        self._models = models
        self._clock = clock
        self._random_source = random_source
        self._current: _CurrentJob | None = None
        self._read: set[str] = set()
        self.earned = 0.0
        """Kudos, since the process began."""

    def pop(self, command: PopJob) -> PoppedJob | NoJob:
        """Ask the server for work.

        :raises ServerAway: when it does not answer.
        :raises NotNow: when it refuses for a reason that may pass, or has handed out what this
            worker cannot make; that has been faulted then.
        :raises NotAdmitted: when it will not have this worker as it is.
        :raises AnswerNotUnderstood: when its answer is none.
        """
        self._current = None
        self._job_images.empty()
        # Before the question: the lease may have begun at any moment since then.
        popped_at = self._clock.now()
        try:
            body = self._server.pop(pop_body(command.worker_name, command.capabilities))
        except Refused as refusal:
            raise refused_pop(refusal) from None
        answer = read_answer(body)
        for message in answer.messages:
            self._log_message(message)
        if not answer.image_ids:
            return NoJob(UNKNOWN_ID)
        return self._accepted(answer, body, command, popped_at)

    def renew_lease(self, job_id: UUID, *, owner_id: UUID) -> datetime:
        """Return when the lease ends: the v2 API gives no job more time than it had."""
        return self._require_current().ends_at

    def record_progress(self, job_id: UUID, *, owner_id: UUID, step: int, steps: int) -> None:
        """Do nothing: the v2 API has no word for progress."""

    def is_leased(self, job_id: UUID) -> bool:
        """Whether the server still takes the job's images, as far as it can be asked.

        :raises ServerAway: when it does not answer.
        """
        current = self._require_current()
        now = self._clock.now()
        if current.probe is None or now - current.checked_at < _CHECK_EVERY:
            return True
        current.checked_at = now
        return self._server.is_wanted(current.probe)

    def submit_image(
        self,
        image_id: UUID,
        *,
        owner_id: UUID,
        digest: str,
        seed: int,
        state: ImageState,
        metadata: tuple[GenerationMetadata, ...] = (),
        provenance: Provenance | None = None,
    ) -> float:
        """Submit an image that is held in memory; return the reward in kudos.

        How it was made stays here: the v2 API has no field for it.

        :raises ServerAway: when the server does not answer.
        :raises Refused: what it refuses.
        """
        current = self._require_current()
        file = self._job_images.get(digest)
        reward = self._server.submit(
            {
                "id": str(image_id),
                "generation": current.submission.generation_of(image_id, file),
                "seed": seed,
                "state": state.value,
                "censored": state is not ImageState.OK,
                "gen_metadata": [
                    _metadata_body(entry)
                    for entry in (*metadata, *_batch_index_of(image_id, current.image_ids))
                ],
            }
        )
        current.open.discard(image_id)
        self.earned += reward
        return reward

    def fault_image(self, image_id: UUID, *, owner_id: UUID) -> None:
        """Report to the server that an image could not be made.

        :raises ServerAway, Refused: as above.
        """
        current = self._require_current()
        self._fault(str(image_id), current.seed)
        current.open.discard(image_id)

    def fail(self, job_id: UUID, *, owner_id: UUID, reason: str) -> None:
        """Fault the images that were not submitted; the v2 API has no field for the reason.

        :raises ServerAway, Refused: as above.
        """
        for image_id in self._require_current().image_ids:
            if image_id in self._require_current().open:
                self.fault_image(image_id, owner_id=owner_id)

    def _accepted(
        self, answer: PopAnswer, body: bytes, command: PopJob, popped_at: datetime
    ) -> PoppedJob:
        try:
            offer = read_offer(body)
        except AnswerNotUnderstood as error:
            raise self._returned(answer, str(error)) from None
        reason = misfit_reason(offer, command.capabilities, self._models)
        if reason is not None:
            raise self._returned(answer, reason)
        return self._popped(offer, popped_at)

    def _popped(self, offer: Offer, popped_at: datetime) -> PoppedJob:
        prompt, negative_prompt = offer.payload.prompts
        given_seed = str(offer.payload.seed)
        seed = seed_from_text(given_seed) if given_seed else self._random_source.new_seed()
        ends_at = popped_at + timedelta(seconds=offer.ttl)
        self._current = _CurrentJob(
            image_ids=offer.image_ids,
            seed=seed,
            submission=Submission(self._server, self._outbound, offer.uploads),
            probe=next(iter(offer.uploads.values()), None),
            ends_at=ends_at,
            checked_at=popped_at,
            open=set(offer.image_ids),
        )
        return PoppedJob(
            job_id=offer.image_ids[0],
            request_id=UNKNOWN_ID,
            image_ids=offer.image_ids,
            worker_id=UNKNOWN_ID,
            model=offer.model,
            prompt=prompt,
            negative_prompt=negative_prompt,
            settings=offer.payload.settings,
            seed=seed,
            lease_ends_at=ends_at,
            lease_seconds=int(offer.ttl),
            r2=bool(offer.uploads),
            censor_nsfw=offer.payload.use_nsfw_censor,
            source=sources_of(offer, self._outbound, self._job_images),
            extra_texts=tuple((each.text, each.reference) for each in offer.payload.extra_texts),
        )

    def _require_current(self) -> _CurrentJob:
        assert self._current is not None, "no job is at hand"
        return self._current

    def _returned(self, answer: PopAnswer, why: str) -> NotNow:
        """Fault all images of a job at once, so that no request waits for the end of its lease."""
        for image_id in answer.image_ids:
            try:
                self._fault(image_id, 0)
            except (ServerAway, Refused) as error:
                _log.warning("image not faulted", error=type(error).__name__)
        return NotNow(f"a job was faulted: {why}")

    def _fault(self, image_id: str, seed: int) -> None:
        self._server.submit(
            {"id": image_id, "generation": "faulted", "seed": seed, "state": "faulted"}
        )

    def _log_message(self, message: Message) -> None:
        if message.id not in self._read:
            self._read.add(message.id)
            _log.warning("the server says", message=message.message)


def _batch_index_of(image_id: UUID, image_ids: tuple[UUID, ...]) -> tuple[GenerationMetadata, ...]:
    """Return the metadata of an image's batch index; none for an image made alone."""
    if len(image_ids) == 1:
        return ()
    index = str(image_ids.index(image_id))
    return (GenerationMetadata(MetadataType.BATCH_INDEX, MetadataValue.SEE_REF, index),)


def _metadata_body(entry: GenerationMetadata) -> dict[str, Any]:
    ref = {} if entry.ref is None else {"ref": entry.ref}
    return {"type": entry.type.value, "value": entry.value.value, **ref}
