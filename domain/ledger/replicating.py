"""Replicating: from an image's id to a request for the same image, from the history alone."""

from __future__ import annotations

import json
from dataclasses import replace

from domain.jobs.image_ids import batch_index_of, job_of
from domain.jobs.job import ImageState, Job
from domain.jobs.replication import loras_as_made, replication_of
from domain.ledger.base import LedgerBase
from domain.requests.request import Request
from domain.requests.requirements import requirements_of
from domain.requests.specification import ReplicateImage, RequestSpecification, SubmitRequest
from domain.return_codes import Refused
from domain.sealing import Forgotten, Sealed


class ReplicatingCommands(LedgerBase):
    """What is known of images that were made."""

    def request_again(self, command: ReplicateImage) -> SubmitRequest:
        """Return the request that makes an image again, which is still to be submitted.

        Only the account that asked for an image may have it made again; under a shared key, only
        what was asked for under the same one. An image of anybody else's is treated as one that
        there is not.

        :raises Refused: ``ImageNotFound``; ``ImageNotGenerated``, when it was never delivered or
            was censored; ``ImageForgotten``, when its prompt cannot be read any more.
        """
        job, request = self._made_for(command)
        image = job.generated.get(batch_index_of(command.image_id))
        if image is None or image.state is not ImageState.OK:
            raise Refused("ImageNotGenerated")
        settings = replace(
            request.submitted.settings,
            loras=loras_as_made(request.submitted.settings.loras, image.making, image.metadata),
        )
        replication = replication_of(
            image, job, earlier=request.submitted.replicates, exact=command.exact
        )
        texts = (
            json.loads(self._read(request.submitted.extra_texts))
            if request.submitted.extra_texts
            else ()
        )
        asked = request.submitted
        return SubmitRequest(
            command.requester,
            RequestSpecification(
                prompt=self._read(asked.prompt),
                negative_prompt=self._read(asked.negative_prompt) if asked.negative_prompt else "",
                settings=settings,
                requirements=requirements_of(
                    settings,
                    models=(job.model,),
                    catalogue=self._models,
                    source=asked.source,
                    nsfw=asked.requirements.nsfw,
                    trusted_workers=command.trusted_workers,
                    slow_workers=command.slow_workers,
                    extra_slow_workers=asked.requirements.extra_slow_workers,
                    unsafe_ip=command.unsafe_ip,
                    replicates=True,
                ),
                seed=replication.seed,
                shared=command.shared,
                r2=command.r2,
                censor_nsfw=asked.censor_nsfw,
                source=asked.source,
                extra_texts=tuple((text, reference) for text, reference in texts),
                replicates=replication,
                webhook=command.webhook,
            ),
        )

    def _made_for(self, command: ReplicateImage) -> tuple[Job, Request]:
        """Return the job and the request of an image, if the account asked for it."""
        job = self._load(Job, job_of(command.image_id), "ImageNotFound")
        request = self._request(job.request_id)
        own = request.submitted.account_id == command.requester.account_id and (
            command.requester.shared_key_id in (None, request.submitted.shared_key_id)
        )
        if not own or batch_index_of(command.image_id) >= len(job.image_ids):
            raise Refused("ImageNotFound")
        return job, request

    def _read(self, sealed: Sealed) -> str:
        try:
            return self._sealer.open(sealed)
        except Forgotten:
            raise Refused("ImageForgotten") from None
