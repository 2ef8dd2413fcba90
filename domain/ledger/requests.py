"""Requests: priced, put in the queue, ended early, and made from an image to have it again."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.rights import require_may_disable_batching
from domain.images.workflows import runs_one_by_one
from domain.jobs.image_ids import batch_index_of, job_of
from domain.jobs.job import ImageState, Job
from domain.jobs.lifetimes import Lifetimes
from domain.jobs.replication import loras_as_made, replication_of
from domain.ledger.core import Core
from domain.ledger.endings import Endings
from domain.ledger.holds import KudosHolds
from domain.ledger.idempotency import CommandResult, IdempotencyKey
from domain.ledger.ports import Directory
from domain.models.catalogue import Models, heaviest
from domain.ports import RandomSource
from domain.requests.commands import ReplicateImage, SubmitRequest
from domain.requests.pricing import Quote, quote
from domain.requests.request import Request
from domain.requests.requirements import requirements_of
from domain.return_codes import Refused
from domain.sealing import Forgotten, Sealed, Sealer
from domain.webhooks.webhook import Webhook


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
        """Return what came of a request when it was sent before; None when it is new.

        :raises Refused: ``BadRequest``, when something else was sent with the same key.
        """
        return self._core.earlier(key)

    def check_rights(self, command: SubmitRequest) -> None:
        """Check that the account may ask for this; for whoever submits, before that.

        :raises Refused: ``RequiresTrust``.
        """
        if (
            command.disable_batching
            and command.images > 1
            and not runs_one_by_one(command.settings.workflow)
        ):
            require_may_disable_batching(self._directory.account(command.account_id))

    def price(self, command: SubmitRequest) -> Quote:
        """Return the kudos that a request would burn."""
        return quote(
            command.settings,
            command.images,
            family=heaviest(command.requirements.models, self._models),
            has_source=command.requirements.img2img,
            slow_workers=command.requirements.slow_workers,
            worker_blacklist=command.requirements.worker_blacklist,
        )

    def can_afford(self, command: SubmitRequest) -> bool:
        """Whether the kudos of its account cover a request now; those of anonymous never do."""
        return self._holds.covers(command.account_id, self.price(command))

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
        settings = replace(
            request.settings,
            loras=loras_as_made(request.settings.loras, image.making, image.metadata),
        )
        replication = replication_of(image, job, earlier=request.replicates, exact=command.exact)
        texts = json.loads(self._read(request.extra_texts)) if request.extra_texts else ()
        wanted = request.requirements
        return SubmitRequest(
            account_id=command.account_id,
            shared_key_id=command.shared_key_id,
            prompt=self._read(request.prompt),
            negative_prompt=self._read(request.negative_prompt) if request.negative_prompt else "",
            settings=settings,
            requirements=requirements_of(
                settings,
                models=(job.model,),
                catalogue=self._models,
                source=request.source,
                nsfw=wanted.nsfw,
                trusted_workers=command.trusted_workers,
                slow_workers=command.slow_workers,
                extra_slow_workers=wanted.extra_slow_workers,
                unsafe_ip=command.unsafe_ip,
                replicates=True,
            ),
            images=1,
            seed=replication.seed,
            shared=command.shared,
            r2=command.r2,
            censor_nsfw=request.censor_nsfw,
            source=request.source,
            extra_texts=tuple((text, reference) for text, reference in texts),
            client_address=command.client_address,
            client_agent=command.client_agent,
            replicates=replication,
            webhook=command.webhook,
        )

    def _submit(self, command: SubmitRequest) -> CommandResult:
        now = self._core.now()
        request_id = self._random_source.new_id()
        anonymous = command.account_id == ANONYMOUS_ID
        subject = request_id if anonymous else command.account_id
        price = self.price(command)

        def seal(text: str) -> Sealed:
            return self._sealer.seal(subject, text)

        with self._core.transaction():
            hold = self._holds.hold(command, price)
            request = Request.submit(
                request_id,
                account_id=command.account_id,
                shared_key_id=command.shared_key_id,
                images=command.images,
                settings=command.settings,
                requirements=replace(command.requirements, unfunded=not hold.is_funded),
                prompt=seal(command.prompt),
                negative_prompt=seal(command.negative_prompt) if command.negative_prompt else None,
                extra_texts=seal(json.dumps(command.extra_texts)) if command.extra_texts else None,
                source=command.source,
                client_address=seal(command.client_address) if command.client_address else None,
                client_agent=command.client_agent,
                proxied_account=seal(command.proxied_account) if command.proxied_account else None,
                seed=command.seed,
                seed_variation=command.seed_variation,
                disable_batching=command.disable_batching,
                shared=command.shared,
                r2=command.r2,
                censor_nsfw=command.censor_nsfw,
                priority=hold.priority + command.priority,
                kudos=price.total,
                kudos_per_image=price.per_image,
                held=hold.held,
                expires_at=now
                + self._lifetimes.waiting(
                    extra_slow_workers=command.requirements.extra_slow_workers
                ),
                replicates=command.replicates,
                webhook=(
                    Webhook(seal(wish.address), wish.destination, wish.kinds)
                    if (wish := command.webhook)
                    else None
                ),
                timestamp=now,
            )
            self._core.save(request)
        return CommandResult(request_id, price.total)

    def _made_for(self, command: ReplicateImage) -> tuple[Job, Request]:
        """Return the job and the request of an image, if it is the account's."""
        job = self._core.load(Job, job_of(command.image_id), "ImageNotFound")
        request = self._endings.request(job.request_id)
        own = request.account_id == command.account_id and (
            command.shared_key_id in (None, request.shared_key_id)
        )
        if not own or batch_index_of(command.image_id) >= len(job.image_ids):
            raise Refused("ImageNotFound")
        return job, request

    def _read(self, sealed: Sealed) -> str:
        try:
            return self._sealer.open(sealed)
        except Forgotten:
            raise Refused("ImageForgotten") from None
