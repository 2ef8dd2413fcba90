"""A limit on request bodies that is enforced before they are in memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import error_answer
from domain.return_codes import Refused

_TOO_LARGE = 413


class BodyLimit:
    """Refuses bodies above a number of bytes with status 413.

    A body that says it is too large is not read at all; one that does not say so (chunked) is
    given up at the first byte too many.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        """Guard an application.

        :param max_body_bytes: the largest body that is let through, in bytes.
        """
        self._app = app
        self._most = max_body_bytes
        self._message = f"The body is too large: at most {max_body_bytes:,} bytes are taken."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            # Nothing reads a body there, so the server throws it away as it comes.
            await self._app(scope, receive, send)
            return
        if self._declared_too_large(scope):
            refusal = Refused("BadRequest", self._message)
            answer = error_answer(HTTPConnection(scope), refusal, status=_TOO_LARGE)
            await answer(scope, receive, send)
            return
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(_TOO_LARGE, self._message)
            return message

        await self._app(scope, receive_counted, send)

    def _declared_too_large(self, scope: Scope) -> bool:
        declared = Headers(scope=scope).get("content-length", "")
        return declared.isascii() and declared.isdigit() and int(declared[:20]) > self._most
