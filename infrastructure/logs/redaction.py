"""Redacts private fields of log entries by their names.

Prompts, images, keys and addresses are personal, and logs are copied to many systems.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, MutableMapping, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

REDACTED = "[redacted]"

_PRIVATE_WORDS = frozenset(
    {
        "addr",
        "address",
        "addresse",
        "apikey",
        "authorization",
        "client",
        "cookie",
        "credential",
        "generation",
        "img",
        "ip",
        "key",
        "passphrase",
        "password",
        "prompt",
        "secret",
        "token",
        "webhook",
    }
)
_PRIVATE_PARTS = ("apikey", "password", "prompt", "secret", "source_image", "source_mask")

_PLAIN = (str, int, float, UUID, date, time, timedelta, Decimal, PurePath, BaseException)
_DEEPEST = 8


def redact(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask every private field of a log entry, however deep it is nested (a structlog processor).

    A name counts as private by its words, in any case and joined in any way: ``apikey``,
    ``X-API-Key`` and ``promptText`` are, ``keyword`` is not. An object that is neither plain data,
    a dataclass nor a pydantic model is logged as the name of its type, since its ``repr`` could
    hold anything.
    """
    return {name: _mask(name, value, 0) for name, value in entry.items()}


@lru_cache(maxsize=1024)
def is_private(name: str) -> bool:
    """Whether a field of this name is kept out of the log."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    joined = re.sub(r"[^a-z0-9]+", "_", parted)
    return any(part in joined for part in _PRIVATE_PARTS) or any(
        word in _PRIVATE_WORDS or word.removesuffix("s") in _PRIVATE_WORDS
        for word in joined.split("_")
    )


def _mask(name: object, value: object, depth: int) -> object:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    if value is not None and is_private(text):
        return REDACTED
    return _clean(value, depth)


def _clean(value: object, depth: int) -> object:
    if value is None or (isinstance(value, _PLAIN) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth == _DEEPEST:
        return "<too deep>"
    if (named := _fields_of(value)) is not None:
        return {str(name): _mask(name, field, depth + 1) for name, field in named}
    if isinstance(value, list | tuple | Set):
        return [_clean_item(item, depth + 1) for item in value]
    return f"<{type(value).__qualname__}>"


def _fields_of(value: object) -> Iterator[tuple[object, object]] | None:
    if isinstance(value, Mapping):
        return iter(value.items())
    if isinstance(value, BaseModel):
        return iter(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return None


def _clean_item(item: object, depth: int) -> object:
    # ASGI gives headers as pairs of name and value.
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | bytes):
        name = item[0] if isinstance(item[0], str) else item[0].decode("latin-1")
        return [name, _mask(name, item[1], depth)]
    return _clean(item, depth)
