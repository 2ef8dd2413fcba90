"""Asking for images: a request is priced, put in the queue, and ended early."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.kudos import hundredths
from domain.images.workflows import needs_single_jobs
from domain.ledger.ending import EndingCommands
from domain.ledger.holding import HoldingCommands
from domain.ledger.idempotency import CommandResult, IdempotencyKey
from domain.ledger.repeating import RepeatingCommands
from domain.requests.pricing import Quote, price_of
from domain.requests.request import Request
from domain.requests.specification import SubmitRequest, Terms
from domain.return_codes import Refused


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
        requester, specification = command.requester, command.specification
        anonymous = requester.account_id == ANONYMOUS_ID
        subject = request_id if anonymous else requester.account_id
        price = self.price(command)

        with self._transactions.transaction():
            hold = self._hold(command, price)
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
            self.save(request)
        return CommandResult(request_id, price.total)

    def check_rights(self, command: SubmitRequest) -> None:
        """Check that the account may ask for this.

        :raises Refused: ``RequiresTrust``.
        """
        specification = command.specification
        if (
            specification.disable_batching
            and specification.images > 1
            and not needs_single_jobs(specification.settings.workflow)
        ):
            self._require_batching_rights(command.requester.account_id)

    def price(self, command: SubmitRequest) -> Quote:
        """Return the kudos that a request would burn."""
        return price_of(command.specification, self._models)

    def can_afford(self, command: SubmitRequest) -> bool:
        """Whether the kudos of its account cover a request now; of anonymous they never do."""
        account_id = command.requester.account_id
        if account_id == ANONYMOUS_ID:
            return False
        balance = self._funds.balance(account_id)
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
