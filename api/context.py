"""What handlers reach for: the services, and what the API itself remembers between requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from api.authentication import Accounts
from api.crowd import Crowd
from api.services import Services
from domain.ports import AccountEntry


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a handler may use."""

    services: Services
    accounts: Accounts
    crowd: Crowd

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
            crowd=Crowd(services.presence, services.workers, services.directory),
        )

    def account(self, key: str | None) -> AccountEntry:
        """Return who is asking.

        :raises Refused: ``InvalidAPIKey``.
        """
        return self.accounts.by_key(key)


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.hoard)


Provided = Annotated[Context, Depends(_context)]
"""A handler's parameter: the context."""
