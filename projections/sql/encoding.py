"""How domain values stand in view columns: instants as integers, names, declarations as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, String
from sqlalchemy.types import TypeDecorator

from domain.workers.matching import Capabilities, Requirements

LONGEST_NAME = 255
"""Characters of a name that are kept; PostgreSQL refuses to index much longer ones."""


class Name(TypeDecorator[str]):
    """A name, whatever it holds: a follower must never be stopped by a client's text."""

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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Most requests ask for what others ask for, and a worker declares the same at each pop; reading and
# writing JSON is the dearest part of a row.
_cached = lru_cache(10_000)

_ASKED_LATER = (
    "img2img",
    "painting",
    "post_processing",
    "controlnet",
    "sdxl_controlnet",
    "lora",
    "many_steps",
    "unfunded",
    "unsafe_ip",
    "features",
)
"""Requirements that the first programs did not know; all are false or empty where not asked for."""


class Instant(TypeDecorator[datetime]):
    """A moment with its time zone, stored as microseconds since 1970 UTC, exact everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn a moment into an integer."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn an integer into a moment in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


@_cached
def requirements_to_json(requirements: Requirements) -> str:
    """Return equal text for equal requirements.

    What a request does not ask for is left out: text that older programs wrote stays the same.
    """
    asked = asdict(requirements)
    for later in _ASKED_LATER:
        if not asked[later]:
            del asked[later]
    return json.dumps(asked, default=str, sort_keys=True, separators=(",", ":"))


@_cached
def requirements_from_json(text: str) -> Requirements:
    """Return the requirements that :func:`requirements_to_json` wrote down."""
    fields = json.loads(text)
    fields["models"] = tuple(fields["models"])
    fields["workers"] = tuple(UUID(worker) for worker in fields["workers"])
    fields["features"] = tuple(fields.get("features", ()))
    return Requirements(**fields)


@_cached
def capabilities_to_json(capabilities: Capabilities) -> str:
    """Return equal text for equal capabilities.

    Features that were not declared are left out: text that older programs wrote stays the same.
    """
    declared = asdict(capabilities)
    if not declared["features"]:
        del declared["features"]
    return json.dumps(declared, sort_keys=True, separators=(",", ":"))


@_cached
def capabilities_from_json(text: str) -> Capabilities:
    """Return the capabilities that :func:`capabilities_to_json` wrote down."""
    fields = json.loads(text)
    fields["models"] = tuple(fields["models"])
    fields["blacklist"] = tuple(fields.get("blacklist", ()))
    fields["features"] = tuple(fields.get("features", ()))
    return Capabilities(**fields)
