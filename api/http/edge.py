"""The outermost layer: what HTTP and browsers expect of every address, whatever its route does.

- Blanks around a header's value are not part of it (RFC 9110, 5.5).
- HEAD is answered wherever GET is, and OPTIONS everywhere (9.3.2, 9.3.7).
- A web page of any origin may read every answer, errors included: no cookie gives a browser rights
  that it must guard. This layer answers preflights itself (Fetch Standard, CORS protocol).
- A body in another coding than the plain one is refused, and never read as if it were plain.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import error_answer
from api.http.methods import METHODS, allowed_methods
from domain.return_codes import Refused

_UNSUPPORTED_MEDIA_TYPE = 415

_READABLE_ANYWHERE = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Allow, Content-Language, ETag, Retry-After"),
]
_PREFLIGHT_SECONDS = 600
_ALL_METHODS = ", ".join((*METHODS, "HEAD", "OPTIONS"))
_BLANKS = (b" ", b"\t")
_PLAIN = frozenset({b"", b"identity"})


class Edge:
    """Wraps a whole application, its handling of unexpected errors included."""

    def __init__(self, app: ASGIApp, router: Router) -> None:
        """Wrap an application.

        :param router: knows which methods an address takes.
        """
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _trim_headers(scope)

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_READABLE_ANYWHERE]}
            await send(message)

        method = scope["method"]
        if method == "OPTIONS":
            await self._options(scope)(scope, receive, send_readable)
        elif method == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _head_only(send_readable))
        elif _has_coding(scope):
            refusal = Refused("BadRequest", "Send the body as it is, without Content-Encoding.")
            answer = error_answer(
                HTTPConnection(scope),
                refusal,
                status=_UNSUPPORTED_MEDIA_TYPE,
                headers={"accept-encoding": "identity"},
            )
            await answer(scope, receive, send_readable)
        else:
            await self._app(scope, receive, send_readable)

    def _options(self, scope: Scope) -> Response:
        """Return the answer to a preflight, or to somebody who wants to know the methods."""
        allowed = allowed_methods(self._router, scope)
        headers = {"allow": ", ".join(allowed)} if allowed else {}
        asked = Headers(scope=scope)
        if "access-control-request-method" in asked:
            # Of an unknown address and of a wrong method too: the page then reads the refusal.
            return Response(status_code=204, headers=headers | _preflight_headers(asked))
        if scope["path"] == "*":
            headers = {"allow": _ALL_METHODS}
        if not headers:
            return error_answer(HTTPConnection(scope), Refused("NotFound"))
        return Response(status_code=204, headers=headers)


def _preflight_headers(asked: Headers) -> dict[str, str]:
    headers = {
        "access-control-allow-methods": _ALL_METHODS,
        "access-control-allow-headers": asked.get("access-control-request-headers", "*"),
        "access-control-max-age": str(_PREFLIGHT_SECONDS),
        "vary": "Access-Control-Request-Headers, Access-Control-Request-Private-Network",
    }
    if asked.get("access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return headers


def _head_only(send: Send) -> Send:
    """Return what sends the head of an answer, and drops all that comes after it.

    Whoever makes a stream, which has no end, then reads that the answer is over.
    """

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_head


def _trim_headers(scope: Scope) -> None:
    headers = scope["headers"]
    if any(value.endswith(_BLANKS) or value.startswith(_BLANKS) for _, value in headers):
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in headers]


def _has_coding(scope: Scope) -> bool:
    return any(
        name == b"content-encoding" and value.lower() not in _PLAIN
        for name, value in scope["headers"]
    )
