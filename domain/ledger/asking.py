"""Asking for images: a request is priced, put in the queue, and ended early."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.kudos import hundredths
from domain.images.workflows import runs_one_by_one
from domain.ledger.ending import EndingCommands
from domain.ledger.holding import HoldingCommands
from domain.ledger.idempotency import CommandResult, IdempotencyKey
from domain.ledger.repeating import RepeatingCommands
from domain.models.catalogue import heaviest
from domain.requests.commands import SubmitRequest
from domain.requests.pricing import Quote, quote
from domain.requests.request import Request
from domain.return_codes import Refused
from domain.sealing import Sealed
from domain.webhooks.webhook import Webhook


class AskingCommands(EndingCommands, HoldingCommands, RepeatingCommands):
    """What front-ends do."""

    def submit_request(
        self, command: SubmitRequest, attempt: IdempotencyKey | None = None
    ) -> tuple[UUID, float]:
        """Put a request in the queue; return its id and the kudos that it burns.

        :param attempt: what tells that it is sent again: the first request is then the answer.
        :raises Refused: ``RequiresTrust``, whatever :meth:`_hold` refuses, ``BadRequest`` when
            something else was sent with the same key, or ``Locked``.
        """
        done = self._once(attempt, lambda: self._submit_request(command))
        return done.subject, done.kudos

    def _submit_request(self, command: SubmitRequest) -> CommandResult:
        self.check_rights(command)
        now = self._clock.now()
        request_id = self._random_source.new_id()
        anonymous = command.account_id == ANONYMOUS_ID
        subject = request_id if anonymous else command.account_id
        price = self.price(command)

        def seal(text: str) -> Sealed:
            return self._sealer.seal(subject, text)

        with self._transactions.transaction():
            hold = self._hold(command, price)
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
            self.save(request)
        return CommandResult(request_id, price.total)

    def check_rights(self, command: SubmitRequest) -> None:
        """Check that the account may ask for this.

        :raises Refused: ``RequiresTrust``.
        """
        if (
            command.disable_batching
            and command.images > 1
            and not runs_one_by_one(command.settings.workflow)
        ):
            self._require_batching_rights(command.account_id)

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
        """Whether the kudos of its account cover a request now; of anonymous they never do."""
        if command.account_id == ANONYMOUS_ID:
            return False
        balance = self._funds.balance(command.account_id)
        return balance.available >= hundredths(self.price(command).total)

    def cancel_request(self, request_id: UUID) -> None:
        """End a request because its client wants no more; over already is no error.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def cancel() -> None:
            request = self._request(request_id)
            self._end_request(request, request.cancel)

        self._retried(cancel)

    def expire_request(self, request_id: UUID) -> None:
        """End a request to which nothing happened for too long, unless a job still holds it.

        :raises Refused: ``RequestNotFound`` or ``Locked``.
        """

        def expire() -> None:
            request = self._request(request_id)
            request.expire(timestamp=self._clock.now())
            self.save(request)

        self._retried(expire)

    def _require_batching_rights(self, account_id: UUID) -> None:
        entry = self._directory.account(account_id)
        if entry is None or not entry.roles.may_disable_batching:
            raise Refused("RequiresTrust")
