"""Fetching what lies at an address that a stranger gave: the port, its limits and its troubles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class FetchProblem(StrEnum):
    """Why nothing was fetched."""

    ADDRESS_INVALID = "address invalid"
    """It cannot be read, or is not https."""
    ADDRESS_REFUSED = "address refused"
    """It leads to a place that is not of the public internet."""
    NOT_RESOLVED = "no such host"
    NOT_TRUSTED = "not trusted"
    """Its certificate is for another name or not trusted, or it does not speak TLS."""
    UNREACHABLE = "unreachable"
    """No connection, no answer, or not HTTP."""
    TOO_SLOW = "too slow"
    TOO_LARGE = "too large"
    WRONG_STATUS = "wrong status"
    """It answered with another status than 200."""
    WRONG_TYPE = "wrong type"
    """It answered with something that is not wanted."""
    TOO_MANY_REDIRECTS = "too many redirects"
    BUSY = "busy"
    """Too much is being fetched at this moment."""


class FetchFailed(Exception):
    """Nothing was fetched; the message never repeats the address, which is personal."""

    def __init__(self, problem: FetchProblem) -> None:
        """Say why."""
        self.problem = problem
        super().__init__(problem.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How far a fetch may go."""

    max_bytes: int
    """Of the body, as it comes over the wire."""
    seconds: float
    """For all of it: names, connections, redirects and the body."""
    media_types: tuple[str, ...] = ()
    """What the answer may be; one that ends in ``/`` stands for a family. Empty: anything."""
    redirects: int = 3
    """How often it may be sent on; each address is checked like the first."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lay at an address."""

    data: bytes
    media_type: str
    """Lower-case and without parameters; empty when the server named none."""


class Fetcher(Protocol):
    """The port to the outside."""

    def get(self, url: str, limits: FetchLimits) -> Fetched:
        """Return what lies at an address.

        :raises FetchFailed: saying why there is nothing to be had.
        """
