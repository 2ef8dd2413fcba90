"""What handlers reach for: the services, and what the API itself remembers between requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from api.http.authentication import Accounts
from api.registration.registrations import Registrations
from api.services import Services
from api.tracking.hub import Hub
from api.v2.workers.present import AvailableWorkers
from domain.accounts.directory import AccountEntry
from domain.return_codes import Refused


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; empty where there is none."""
    return request.client.host if request.client else ""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a handler may use."""

    services: Services
    accounts: Accounts
    registrations: Registrations
    available_workers: AvailableWorkers
    hub: Hub

    @classmethod
    def of(cls, services: Services) -> Context:
        """Build on the services."""
        return cls(
            services=services,
            accounts=Accounts(
                services.directory,
                digest_of=services.digest_of,
                anonymous_key=services.anonymous_key,
            ),
            registrations=Registrations(services),
            available_workers=AvailableWorkers(
                services.presence, services.workers, services.directory
            ),
            hub=Hub(services.log, services.wakeups, services.pace),
        )

    def account(self, key: str | None) -> AccountEntry:
        """Return who is asking. Shared keys are no account's own: they only ask for images.

        :raises Refused: ``InvalidAPIKey`` or ``DeletedUser``.
        """
        account = self.accounts.by_key(key)
        if account.shared_key_id is not None:
            raise Refused("InvalidAPIKey", "A shared key only asks for images.")
        return account

    def payer(self, key: str | None) -> AccountEntry:
        """Return who is asking for images, be it under a shared key.

        :raises Refused: ``InvalidAPIKey`` or ``DeletedUser``.
        """
        return self.accounts.by_key(key)

    def root(self, base_url: str) -> str:
        """Return what all addresses of this installation start with, without a slash at its end.

        :param base_url: what the client used to reach it; counts unless the operator has set one.
        """
        return (self.services.public_url or base_url).rstrip("/")

    def require_allowed(self, request: Request) -> None:
        """Let clients pass whose network address is not shut out; costs no query.

        :raises Refused: ``TimeoutIP``.
        """
        self.services.timeouts.require_allowed(address_of(request))


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.hoard)


Provided = Annotated[Context, Depends(_context)]
"""A handler's parameter: the context."""
