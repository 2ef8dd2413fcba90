"""Requests: priced, put in the queue, ended early, and made from an image to have it again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.rights import require_may_disable_batching
from domain.images.workflows import needs_single_jobs
from domain.jobs.image_ids import batch_index_of, job_of
from domain.jobs.job import ImageState, Job
from domain.jobs.leases import Lifetimes
from domain.jobs.replication import loras_as_made, replication_of
from domain.ledger.core import Core
from domain.ledger.endings import Endings
from domain.ledger.holds import KudosHolds
from domain.ledger.idempotency import CommandResult, IdempotencyKey
from domain.ledger.ports import Directory
from domain.models.catalogue import Models
from domain.ports import RandomSource
from domain.requests.pricing import Quote, price_of
from domain.requests.request import Request
from domain.requests.requirements import requirements_of
from domain.requests.specification import (
    ReplicateImage,
    RequestSpecification,
    SubmitRequest,
    Terms,
)
from domain.return_codes import Refused
from domain.sealing import Forgotten, Sealed, Sealer


class Requests:
    """What front-ends do. Rights are checked before, with :meth:`check_rights`."""

    def __init__(
        self,
        core: Core,
        holds: KudosHolds,
        endings: Endings,
        *,
        directory: Directory,
        models: Models,
        sealer: Sealer,
        random_source: RandomSource,
        lifetimes: Lifetimes,
    ) -> None:
        """Build on the core, on these parts of the ledger and these ports."""
        self._core = core
        self._holds = holds
        self._endings = endings
        self._directory = directory
        self._models = models
        self._sealer = sealer
        self._random_source = random_source
        self._lifetimes = lifetimes

    def submit(
        self, command: SubmitRequest, key: IdempotencyKey | None = None
    ) -> tuple[UUID, float]:
        """Put a request in the queue; return its id and the kudos that it burns.

        :param key: by which it is known when it is sent again; the answer is then the first one.
        :raises Refused: as :meth:`domain.ledger.holds.KudosHolds.hold` does, ``BadRequest`` when
            something else was sent with the same key, or ``Locked``.
        """
        done = self._core.once(key, lambda: self._submit(command))
        return done.subject, done.kudos

    def earlier(self, key: IdempotencyKey) -> CommandResult | None:
        """Return the earlier result of a request that was sent before; None when it is new.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """
        return self._core.earlier(key)

    def check_rights(self, command: SubmitRequest) -> None:
        """Check that the account may ask for this; to be called before submitting.

        :raises Refused: ``RequiresTrust``.
        """
        specification = command.specification
        if (
            specification.disable_batching
            and specification.images > 1
            and not needs_single_jobs(specification.settings.workflow)
        ):
            account = self._directory.account(command.requester.account_id)
            require_may_disable_batching(account)

    def price(self, command: SubmitRequest) -> Quote:
        """Return the kudos that a request would burn."""
        return price_of(command.specification, self._models)

    def can_afford(self, command: SubmitRequest) -> bool:
        """Whether the kudos of its account cover a request now; those of anonymous never do."""
        return self._holds.covers(command.requester.account_id, self.price(command))

    def cancel(self, request_id: UUID) -> None:
        """End a request because its client wants no more; over already is no error.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def cancel_one() -> None:
            request = self._endings.request(request_id)
            self._endings.end_request(request, request.cancel)

        self._core.retried(cancel_one)

    def expire(self, request_id: UUID) -> None:
        """End a request to which nothing happened for too long, unless a job still holds it.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def expire_one() -> None:
            request = self._endings.request(request_id)
            request.expire(timestamp=self._core.now())
            self._core.save(request)

        self._core.retried(expire_one)

    def replicate(self, command: ReplicateImage) -> SubmitRequest:
        """Return the request that makes an image again, which is still to be submitted.

        Only the account of an image's request may have it made again; under a shared key, only
        what was requested under the same one. An image of anybody else's is treated as one that
        does not exist.

        :raises Refused: ``ImageNotFound``; ``ImageNotGenerated``, when it was never submitted or
            was censored; ``ImageForgotten``, when its prompt cannot be read any more.
        """
        job, request = self._made_for(command)
        image = job.generated.get(batch_index_of(command.image_id))
        if image is None or image.state is not ImageState.OK:
            raise Refused("ImageNotGenerated")
        asked = request.submitted
        settings = replace(
            asked.settings,
            loras=loras_as_made(asked.settings.loras, image.making, image.metadata),
        )
        replication = replication_of(image, job, earlier=asked.replicates, exact=command.exact)
        texts = json.loads(self._read(asked.extra_texts)) if asked.extra_texts else ()
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

    def _submit(self, command: SubmitRequest) -> CommandResult:
        now = self._core.now()
        request_id = self._random_source.new_id()
        requester, specification = command.requester, command.specification
        anonymous = requester.account_id == ANONYMOUS_ID
        subject = request_id if anonymous else requester.account_id
        price = self.price(command)
        with self._core.transaction():
            hold = self._holds.hold(command, price)
            terms = Terms(
                kudos=price.total,
                kudos_per_image=price.per_image,
                held=hold.held,
                priority=hold.priority + command.priority,
                expires_at=now
                + self._lifetimes.waiting(
                    extra_slow_workers=specification.requirements.extra_slow_workers
                ),
            )
            request = Request.submit(
                request_id,
                specification,
                requester,
                terms,
                seal=partial(self._sealer.seal, subject),
                funded=hold.is_funded,
                timestamp=now,
            )
            self._core.save(request)
        return CommandResult(request_id, price.total)

    def _made_for(self, command: ReplicateImage) -> tuple[Job, Request]:
        """Return the job and the request of an image, if it is the account's."""
        job = self._core.load(Job, job_of(command.image_id), "ImageNotFound")
        request = self._endings.request(job.request_id)
        requester, asked = command.requester, request.submitted
        own = asked.account_id == requester.account_id and (
            requester.shared_key_id in (None, asked.shared_key_id)
        )
        if not own or batch_index_of(command.image_id) >= len(job.image_ids):
            raise Refused("ImageNotFound")
        return job, request

    def _read(self, sealed: Sealed) -> str:
        try:
            return self._sealer.open(sealed)
        except Forgotten:
            raise Refused("ImageForgotten") from None
