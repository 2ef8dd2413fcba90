"""The server that a remote worker serves, and what can be wrong between the two."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.return_codes import RETURN_CODES, Refused
from workers.loopback import DIRECT

_PASSING_CODES = frozenset(
    {
        "Locked",
        "MaintenanceMode",
        "TimeoutIP",
        "TooManySameIPs",
        "WorkerFlaggedMaintenance",
        "WorkerInviteOnly",
        "WorkerMaintenance",
    }
)
"""Refusals of a pop that the server's side may lift without anything changing here."""

_KNOWN_BY_MESSAGE = (
    ("does not exist", "InvalidJobID"),
    ("already submitted", "DuplicateGen"),
    ("Please check your worker speed", "AbortedGen"),
)
"""Servers older than the return codes are distinguished by their messages, as reGen does."""

_KNOWN_BY_STATUS = {401: "InvalidAPIKey", 404: "InvalidJobID"}

API = "/api/v2"

_TIMEOUT = httpx.Timeout(60, connect=10)
_SHORT_TIMEOUT = httpx.Timeout(3)
_UPLOADS = f"{API}/uploads/"

_PASSING_STATUSES = frozenset({408, 425, 429})
_LONGEST_REST_SECONDS = 600.0
_LONGEST_MESSAGE = 300

_NOT_FOUND = 404
_KEY_UNKNOWN = frozenset({"InvalidAPIKey", "UserNotFound"})

_ENDED = frozenset({"AbortedGen", "InvalidJobID", "WrongCredentials", "RequestExpired"})


class ServerAway(Exception):
    """No usable answer came; asking again may help. The message is safe to log."""


class NoErrorBody(ServerAway):
    """It refused without the v2 API's error body: something else stands there, a proxy perhaps."""


class NotNow(Exception):
    """The server has nothing for this worker just now, and says why; asking later may help."""


class NotAdmitted(Exception):
    """The server refuses this worker as it is: its operator has to change something."""

    def __init__(self, rc: str, message: str) -> None:
        """Say what the server said.

        :param rc: the return code, empty when it gave none.
        """
        super().__init__(f"{message} ({rc})" if rc else message)
        self.rc = rc


def refusal_from(status: int, rc: str, message: str) -> Refused:
    """Return a server's refusal by its name in the catalogue, ``BadRequest`` where it has none.

    :param status: the HTTP status, 400 to 499.
    :param rc: the return code as the server gave it, perhaps empty.
    """
    code = RETURN_CODES.get(rc)
    if code is not None and code.may_be_raised:
        return Refused(rc, message)
    by_message = (name for words, name in _KNOWN_BY_MESSAGE if words in message)
    return Refused(next(by_message, _KNOWN_BY_STATUS.get(status, "BadRequest")), message)


def refused_pop(refusal: Refused) -> NotNow | NotAdmitted:
    """Return what a refusal of a pop means for the worker."""
    if refusal.code.name in _PASSING_CODES:
        return NotNow(f"{refusal.message} ({refusal.code.name})")
    return NotAdmitted(refusal.code.name, refusal.message)


class _Submitted(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    reward: float = 0.0


class Server:
    """Talks to one server with one API key; use it as a context manager.

    The key goes to this server alone, and to no address that its answers name.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        agent: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        :param url: where it listens, such as ``https://aihorde.net``, with or without ``/api/v2``.
        :param agent: ``name:version:contact`` of the worker's software.
        :param transport: what carries the requests instead of the network.
        :raises ValueError: when ``url`` is no http or https address.
        """
        self.url = url.rstrip("/").removesuffix(API).rstrip("/")
        try:
            parts = httpx.URL(self.url)
        except httpx.InvalidURL:
            raise ValueError("it is no address") from None
        if parts.scheme not in {"http", "https"} or not parts.host or parts.userinfo:
            raise ValueError("it must start with http:// or https:// and name a host")
        self._origin = _origin_of(parts)
        self._key = api_key
        self._api = httpx.Client(
            base_url=self.url + API,
            headers={"apikey": api_key, "Client-Agent": agent},
            timeout=_TIMEOUT,
            transport=transport,
            mounts=DIRECT,
        )
        self._plain = httpx.Client(timeout=_TIMEOUT, transport=transport, mounts=DIRECT)
        self.rest_seconds = 0.0
        """How long the latest answer asked for a pause; 0 if it did not."""

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
        self._plain.close()

    def require_key(self) -> None:
        """Return unless the server says that it does not know the key, or is none at all.

        :raises NotAdmitted: when it says so. A server that is away, or says anything else, is no
            reason to stop.
        """
        nothing = NotAdmitted("", "Nothing there speaks the AI Horde v2 API.")
        try:
            response = self._sent(self._api, "GET", "/find_user")
        except ServerAway:
            return
        try:
            self._checked(response)
        except NoErrorBody:
            raise nothing from None
        except ServerAway:
            return
        except Refused as refusal:
            if refusal.code.name in _KEY_UNKNOWN:
                raise NotAdmitted("InvalidAPIKey", "No account has this API key.") from None
            if response.status_code == _NOT_FOUND:
                raise nothing from None

    def pop(self, worker: Mapping[str, Any]) -> bytes:
        """Ask for work and return the body of the answer.

        :raises ServerAway: when there is no usable answer.
        :raises Refused: what the server refuses.
        """
        return self._checked(self._sent(self._api, "POST", "/generate/pop", json=dict(worker)))

    def submit(self, submission: Mapping[str, Any]) -> float:
        """Submit one image, or its fault; return the reward in kudos.

        :raises ServerAway, Refused: as above.
        """
        body = self._checked(
            self._sent(self._api, "POST", "/generate/submit", json=dict(submission))
        )
        try:
            return _Submitted.model_validate_json(body).reward
        except ValidationError:
            raise ServerAway("it answered a submit with something else than JSON") from None

    def owns(self, address: str) -> bool:
        """Whether an address is on this very server: same scheme, host and port."""
        try:
            return _origin_of(httpx.URL(address)) == self._origin
        except httpx.InvalidURL:
            return False

    def upload(self, address: str, file: bytes) -> None:
        """Bring an image to one of the server's own upload addresses, which needs no key.

        :raises ServerAway, Refused: as above.
        """
        self._checked(self._sent(self._plain, "PUT", address, content=file))

    def is_wanted(self, address: str) -> bool:
        """Whether a Hoard still takes an image at its upload address; nothing is uploaded.

        It looks at the job before it looks at the file, and an empty file is never an image. Any
        other server gives addresses elsewhere, is not asked, and wants everything.

        :raises ServerAway: when there is no answer within three seconds.
        """
        if not self.owns(address) or not httpx.URL(address).path.startswith(_UPLOADS):
            return True
        try:
            self._checked(
                self._sent(self._plain, "PUT", address, content=b"", timeout=_SHORT_TIMEOUT)
            )
        except Refused as refusal:
            return refusal.code.name not in _ENDED
        return True

    def _sent(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        self.rest_seconds = 0.0
        try:
            return client.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The text of such an error may hold the address, and an upload address is a secret.
            raise ServerAway(f"no answer: {type(error).__name__}") from None

    def _checked(self, response: httpx.Response) -> bytes:
        status = response.status_code
        if response.is_success:
            return response.content
        if response.is_server_error or status in _PASSING_STATUSES:
            self.rest_seconds = _seconds_from(response.headers.get("retry-after", ""))
            raise ServerAway(f"it answered {status}")
        if not response.is_client_error:
            raise ServerAway(f"it answered {status}, which leads elsewhere: is its address right?")
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> Exception:
        try:
            body = response.json()
        except ValueError:
            body = None
        message = body.get("message") if isinstance(body, dict) else None
        if not isinstance(message, str):
            return NoErrorBody(f"it answered {response.status_code} and did not say why")
        if self._key:
            message = message.replace(self._key, "[key]")
        rc = body.get("rc")
        return refusal_from(
            response.status_code, rc if isinstance(rc, str) else "", message[:_LONGEST_MESSAGE]
        )


def _origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    # httpx leaves out a scheme's usual port.
    return url.scheme, url.host, url.port


def _seconds_from(retry_after: str) -> float:
    """Return the seconds of a Retry-After header; a date, which few send, counts as none."""
    is_number = retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10
    return min(float(retry_after), _LONGEST_REST_SECONDS) if is_number else 0.0
