"""A column for names that strangers chose."""

from __future__ import annotations

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

LONGEST_NAME = 255
"""Characters of a name that are kept; PostgreSQL refuses to index much longer ones."""


class Name(TypeDecorator[str]):
    """A name, whatever it holds: a follower must never be stopped by what somebody wrote."""

    impl = String
    cache_ok = True

    def __init__(self) -> None:
        """Keep up to :data:`LONGEST_NAME` characters."""
        super().__init__(LONGEST_NAME)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what is kept of the name."""
        return None if value is None else kept_name(value)


def kept_name(name: str) -> str:
    """Return a name without what some database cannot store: NUL, lone surrogates, overlength."""
    storable = name.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return storable[:LONGEST_NAME]
