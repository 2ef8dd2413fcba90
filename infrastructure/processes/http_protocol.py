"""HTTP/1.0 clients: they know no chunks, so none are sent to them (RFC 9112, 7.1)."""

from __future__ import annotations

import sys

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class _CloseDelimited(RequestResponseCycle):
    """An answer whose end is the end of the connection, unless it says how long it is."""

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; none of it is framed or counted."""
        if message["type"] == "http.response.start":
            self.chunked_encoding = False
            self.expected_content_length = sys.maxsize
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


class HttpProtocol(HttpToolsProtocol):
    """Serves connections as uvicorn does, those of HTTP/1.0 clients included."""

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        if self.parser.get_http_version() == "1.0":
            # uvicorn makes the cycle itself, and has not begun to run it.
            self.cycle.__class__ = _CloseDelimited
