"""The header ``X-Fields``: which fields of a JSON answer a client wants, as the AI Horde reads it.

``id,kudos`` or ``{id,kudos}`` keeps these two, ``records{request{image}}`` one within another, and
``*`` all that are not named. What is named and not there is left out. In a list each part is
masked. The form is that of Flask-RESTX's response masks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.answer import NOT_KEPT
from api.http.errors import error_answer
from domain.return_codes import Refused

HEADER = "X-Fields"

Mask = Mapping[str, Any]
"""Names of fields, each with the mask of what is within it; ``ALL`` keeps it whole."""

ALL: Final[Mask] = {"*": None}

_TOKEN = re.compile(r"\s*([{},]|[\w:*-]+)\s*", re.ASCII)
_DEEPEST = 10
"""Nothing that is answered goes nearly as deep."""

_QUICK_BYTES = 64 * 1024
"""Larger answers, such as those with images in them, are masked in a thread."""


class MaskUnreadable(ValueError):
    """A text is no mask."""


def mask_from(text: str) -> Mask:
    """Read a mask; an empty text keeps everything.

    :raises MaskUnreadable: when it is none, or more than ten masks deep.
    """
    tokens = _tokens(text)
    if not tokens:
        return ALL
    if tokens[0] == "{":
        if tokens.pop() != "}":
            raise MaskUnreadable("a bracket is not closed")
        tokens = tokens[1:]
    outer: list[dict[str, Any]] = []
    mask: dict[str, Any] = {}
    before = "{"
    for token in tokens:
        starts, ends = before in {"{", ","}, before not in {"{", ",", ""}
        if token == "{":
            if starts or before == "}" or len(outer) == _DEEPEST:
                raise MaskUnreadable("a bracket opens where none may")
            outer.append(mask)
            mask[before] = mask = {}
        elif token == "}":
            if not outer or before == ",":
                raise MaskUnreadable("a bracket closes where none may")
            mask = outer.pop()
        elif token == ",":
            if not ends:
                raise MaskUnreadable("a comma has no name before it")
        elif starts:
            mask[token] = ALL
        else:
            raise MaskUnreadable("a comma is missing")
        before = token
    if outer or before == ",":
        raise MaskUnreadable("the end is missing")
    return mask


def _tokens(text: str) -> list[str]:
    tokens, end = [], 0
    while end < len(text.rstrip()):
        found = _TOKEN.match(text, end)
        if found is None:
            raise MaskUnreadable("there is a character that no name has")
        tokens.append(found[1])
        end = found.end()
    return tokens


def masked(value: Any, mask: Mask) -> Any:
    """Return what a mask leaves of a value made of dicts and lists; other values stay."""
    if isinstance(value, list):
        return [masked(each, mask) for each in value]
    if not isinstance(value, dict) or mask is ALL:
        return value
    left = {
        name: masked(value[name], within)
        for name, within in mask.items()
        if name != "*" and name in value
    }
    return {**value, **left} if "*" in mask else left


class FieldMasks:
    """Masks the JSON of each successful answer to a request with the header."""

    def __init__(self, app: ASGIApp) -> None:
        """Serve an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        text = _header(scope) if scope["type"] == "http" else b""
        if not text:
            await self._app(scope, receive, send)
            return
        try:
            mask = mask_from(text.decode("latin-1"))
        except MaskUnreadable as error:
            refusal = Refused("BadRequest", f"{HEADER}: {error}", {HEADER: str(error)})
            await error_answer(HTTPConnection(scope), refusal)(scope, receive, send)
            return
        await self._app(scope, receive, _Masking(send, mask).send)


def _header(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-fields":
            return bytes(value)
    return b""


class _Masking:
    """Holds a JSON answer back until it is whole, and sends what is left of it."""

    def __init__(self, send: Send, mask: Mask) -> None:
        self._send = send
        self._mask = mask
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json_success(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_masked(self._start)

    async def _send_masked(self, start: Message) -> None:
        if len(self._body) > _QUICK_BYTES:
            body = await to_thread.run_sync(self._masked)
        else:
            body = self._masked()
        # A cache that does not know the header must not give a part for the whole.
        MutableHeaders(scope=start).update({**NOT_KEPT, "content-length": str(len(body))})
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    def _masked(self) -> bytes:
        return orjson.dumps(masked(orjson.loads(self._body), self._mask))


def _is_json_success(start: Message) -> bool:
    if not 200 <= start["status"] < 300:
        return False
    return any(
        name.lower() == b"content-type" and value.partition(b";")[0].strip() == b"application/json"
        for name, value in start.get("headers", ())
    )
