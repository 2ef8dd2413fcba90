"""What routes read of a request beside its body: ids and addresses."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request


def uuid_from(text: str) -> UUID | None:
    """Return the id that a client wrote, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; empty where there is none."""
    return request.client.host if request.client else ""


def root_of(public_url: str | None, base_url: str) -> str:
    """Return what all addresses of this installation start with, without a slash at its end.

    :param public_url: what the operator has set.
    :param base_url: what the client used to reach it; counts unless the operator has set one.
    """
    return (public_url or base_url).rstrip("/")
