"""A small client of the AI Horde v2 API for ``hoard generate``.

It uses only what any front-end may use, so it works with every server that has this API.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from infrastructure.cli.requests.event_stream import MEDIA_TYPE, NoStream, StreamEvent, events_in
from workers.loopback import DIRECT

API = "/api/v2"

_TIMEOUT_SECONDS = 30.0
_TIMEOUT = httpx.Timeout(_TIMEOUT_SECONDS, connect=5)
_LARGEST_IMAGE_BYTES = 64 * 1024 * 1024
_RETRYABLE = frozenset({429, 500, 502, 503, 504})

Answer = TypeVar("Answer", bound=BaseModel)


class ServerUnreachable(Exception):
    """No answer came from the server; the message names it and says why."""


class ServerRefused(Exception):
    """The server answered with an error body."""

    def __init__(self, status: int, rc: str, message: str, errors: Mapping[str, str]) -> None:
        """Say what the server said.

        :param status: the HTTP status, 300 to 599.
        :param rc: the return code, empty when the body has none.
        :param errors: what is wrong, by field.
        """
        self.status = status
        self.rc = rc
        self.message = message
        self.errors = dict(errors)
        super().__init__(f"{message} ({rc or f'HTTP {status}'})")


class AnswerNotUnderstood(Exception):
    """The server's answer is not what the v2 API says it is."""


class _FromServer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RequestWarning(_FromServer):
    """A note on an accepted request."""

    code: str
    message: str


class Accepted(_FromServer):
    """A request that was put in the queue."""

    id: str
    """The only credential to watch and to cancel it."""
    kudos: float
    message: str | None = None
    warnings: tuple[RequestWarning, ...] | None = None


class Checked(_FromServer):
    """The progress of a request; the counts are images."""

    waiting: int
    processing: int
    finished: int
    restarted: int = 0
    done: bool
    faulted: bool = False
    wait_time: int = 0
    """Seconds, the server's estimate."""
    queue_position: int = 0
    kudos: float = 0
    is_possible: bool = True


class GenerationMetadata(_FromServer):
    """A remark about an image, such as its batch index."""

    type: str
    value: str
    ref: str | None = None


class Generation(_FromServer):
    """One finished image."""

    img: str
    """Where to fetch it, or the image itself in base64."""
    seed: str
    id: str
    worker_id: str = ""
    worker_name: str = ""
    model: str = ""
    state: str = "ok"
    censored: bool = False
    gen_metadata: tuple[GenerationMetadata, ...] = ()

    @property
    def batch_index(self) -> int:
        """Its batch index; 0 for an image that was made alone."""
        for remark in self.gen_metadata:
            if remark.type == "batch_index" and (remark.ref or "").isdecimal():
                return int(remark.ref or "")
        return 0


class Status(Checked):
    """The progress of a request, and its finished images."""

    generations: tuple[Generation, ...] = ()
    shared: bool = False


class V2Client:
    """Talks to one server with one API key; use it as a context manager."""

    def __init__(
        self,
        server: str,
        api_key: str,
        *,
        client_agent: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        :param server: where it listens, such as ``http://127.0.0.1:7001``, without ``/api/v2``.
        :param client_agent: ``name:version:contact`` of the calling program.
        :param transport: what carries the requests instead of the network.
        :raises ServerUnreachable: when ``server`` is not an address.
        """
        self.server = server.rstrip("/").removesuffix(API)
        try:
            httpx.URL(self.server)
        except httpx.InvalidURL as error:
            raise _unreachable(self.server, error) from None
        self._api = httpx.Client(
            base_url=self.server + API,
            headers={"apikey": api_key, "Client-Agent": client_agent},
            timeout=_TIMEOUT,
            transport=transport,
            mounts=DIRECT,
        )
        # Images may lie on another host, which has no business with the key.
        self._images = httpx.Client(timeout=_TIMEOUT, transport=transport, mounts=DIRECT)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._api.close()
        self._images.close()

    def heartbeat(self) -> None:
        """Return if the server answers.

        :raises ServerUnreachable: when it does not.
        """
        self._call("GET", "/status/heartbeat")

    def request_images(
        self, payload: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Accepted:
        """Put a request in the queue.

        :param payload: the body of ``POST /generate/async``.
        :param idempotency_key: under which the same request may be sent again.
        :raises ServerUnreachable: without an answer; the request may be in the queue or not.
        :raises ServerRefused: when the server does not take it.
        :raises AnswerNotUnderstood: when the answer is not of the v2 API.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return _read(
            Accepted, self._call("POST", "/generate/async", json=dict(payload), headers=headers)
        )

    def check(self, request_id: str) -> Checked:
        """Return the progress of a request.

        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        return _read(Checked, self._call("GET", f"/generate/check/{_path_of(request_id)}"))

    def check_when_changed(
        self, request_id: str, seen: str | None, wait: int
    ) -> tuple[Checked, str | None]:
        """Return the progress of a request once it has changed, and its entity tag.

        A server without long polling answers at once, usually without a tag.

        :param seen: the tag of the previous answer; without it the answer comes at once.
        :param wait: seconds after which the answer comes, changed or not; 0 to 60.
        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        response = self._call(
            "GET",
            f"/generate/check/{_path_of(request_id)}",
            params={"wait": wait if seen else 0},
            headers={"If-None-Match": seen} if seen else {},
            timeout=httpx.Timeout(_TIMEOUT_SECONDS + wait, connect=_TIMEOUT.connect),
        )
        return _read(Checked, response), response.headers.get("etag")

    def events(
        self, request_id: str, last_id: str = ""
    ) -> Generator[StreamEvent | None, None, None]:
        """Yield the notifications of a request until the server closes the stream.

        Between them comes None for each sign of life.

        :param last_id: the ``last_id`` of the last event that was seen.
        :raises NoStream: when the server has no stream for it.
        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        path = f"/generate/events/{_path_of(request_id)}"
        headers = {"Accept": MEDIA_TYPE, **({"Last-Event-ID": last_id} if last_id else {})}
        try:
            with self._api.stream("GET", path, headers=headers) as response:
                if response.status_code in _RETRYABLE:
                    response.read()
                    raise _refusal(response)
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                if not response.is_success or MEDIA_TYPE not in response.headers.get(
                    "content-type", ""
                ):
                    raise NoStream(f"{self.server} has no stream of events")
                yield from events_in(response.iter_bytes())
        except httpx.HTTPError as error:
            raise _unreachable(self.server, error) from None

    def status(self, request_id: str) -> Status:
        """Return the progress of a request, with its finished images.

        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        return _read(Status, self._call("GET", f"/generate/status/{_path_of(request_id)}"))

    def cancel(self, request_id: str) -> Status:
        """End a request; return what was finished of it.

        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        return _read(Status, self._call("DELETE", f"/generate/status/{_path_of(request_id)}"))

    def image(self, generation: Generation) -> bytes:
        """Return the image file of a generation.

        :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: as above.
        """
        if not generation.img.startswith(("http://", "https://")):
            try:
                return base64.b64decode(generation.img, validate=True)
            except binascii.Error:
                raise AnswerNotUnderstood(f"image {generation.id} is not base64") from None
        file = bytearray()
        try:
            with self._images.stream("GET", generation.img) as response:
                if not response.is_success:
                    response.read()
                    raise _refusal(response)
                for part in response.iter_bytes():
                    file += part
                    if len(file) > _LARGEST_IMAGE_BYTES:
                        raise AnswerNotUnderstood(f"image {generation.id} is too large")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(generation.img, error) from None
        return bytes(file)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._api.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(self.server, error) from None
        if not response.is_success:
            raise _refusal(response)
        return response


def _path_of(request_id: str) -> str:
    try:
        return str(UUID(request_id))
    except ValueError:
        raise AnswerNotUnderstood(f"{request_id!r} is not a request id") from None


def _unreachable(address: str, error: Exception) -> ServerUnreachable:
    reason = str(error) or type(error).__name__
    return ServerUnreachable(f"No answer from {address}: {reason}")


def _refusal(response: httpx.Response) -> ServerRefused:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    errors = body.get("errors")
    return ServerRefused(
        response.status_code,
        str(body.get("rc") or ""),
        str(body.get("message") or f"The server answered {response.status_code}."),
        (
            {str(field): str(text) for field, text in errors.items()}
            if isinstance(errors, dict)
            else {}
        ),
    )


def _read(answer: type[Answer], response: httpx.Response) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        wrong = ", ".join(
            ".".join(map(str, part["loc"])) or "the body"
            for part in error.errors(include_url=False, include_input=False)
        )
        raise AnswerNotUnderstood(
            f"{response.url} gave an answer that the v2 API does not have ({wrong})"
        ) from None
