"""ComfyUI's HTTP and WebSocket API, as far as an engine needs it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from workers.engines.protocol import EngineAway, EngineFailed

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""How long any one answer may take; ComfyUI's threads share Python's lock with the sampling."""

_CLOSE_SECONDS = 2.0

_LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes: a message of an error quotes what went into the node."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the WebSocket."""

    type: str
    data: Mapping[str, Any]

    @property
    def prompt_id(self) -> str | None:
        """Which execution it is about."""
        found = self.data.get("prompt_id")
        return found if isinstance(found, str) else None


class Socket:
    """The connection on which ComfyUI reports one client's executions."""

    def __init__(self, connection: ClientConnection) -> None:
        """Listen on an open connection."""
        self._connection = connection

    def next(self, seconds: float) -> Message | None:
        """Return the next message; None when none came in that time. Previews do not count.

        :raises EngineAway: when the connection is gone.
        """
        ends_at = time.monotonic() + seconds
        while True:
            try:
                received = self._connection.recv(timeout=max(0.0, ends_at - time.monotonic()))
            except TimeoutError:
                return None
            except (ConnectionClosed, OSError) as error:
                raise EngineAway("ComfyUI closed the connection") from error
            message = None if isinstance(received, bytes) else _message(received)
            if message is not None:
                return message


def _message(text: str) -> Message | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    kind, data = message.get("type"), message.get("data")
    return Message(str(kind), data if isinstance(data, dict) else {})


class GraphRejected(EngineFailed):
    """ComfyUI refuses a graph; the message names the node and what is wrong with its inputs."""


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image that ComfyUI saved, by its path among its files."""

    filename: str
    subfolder: str
    type: str
    """``output``, ``input`` or ``temp``."""


class ComfyUIClient:
    """One ComfyUI server. Whatever keeps it from answering is an :class:`EngineAway`."""

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Talk to the server at this address; nothing is sent yet.

        :param url: such as ``http://127.0.0.1:8188``, with user and password if it wants them.
        """
        self._url = url.rstrip("/")
        self._connect_seconds = connect_seconds
        # Proxies of the environment are left alone: the server is the operator's own.
        self._http = httpx.Client(
            base_url=self._url,
            timeout=httpx.Timeout(answer_seconds, connect=connect_seconds),
            trust_env=False,
        )

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    @property
    def host(self) -> str:
        """The server's host name or address."""
        return self._http.base_url.host

    @contextmanager
    def listening(self, client_id: str) -> Iterator[Socket]:
        """Open the connection for the messages of one client.

        :raises EngineAway: when it cannot be opened.
        """
        address = f"ws{self._url.removeprefix('http')}/ws?clientId={client_id}"
        try:
            connection = connect(
                address,
                open_timeout=self._connect_seconds,
                close_timeout=_CLOSE_SECONDS,
                max_size=_LARGEST_MESSAGE,
                # Messages that are not read any more would hold up the end of the connection.
                max_queue=None,
                compression=None,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise EngineAway("ComfyUI does not answer") from error
        with connection:
            yield Socket(connection)

    def submit(self, graph: Mapping[str, object], *, client_id: str, prompt_id: str) -> str:
        """Queue a graph and return the id of its execution.

        :param prompt_id: the id that it shall have; old versions of ComfyUI choose one themselves.
        :raises GraphRejected: when ComfyUI cannot run it.
        """
        body = {"prompt": graph, "client_id": client_id, "prompt_id": prompt_id}
        answer = self._request("POST", "/prompt", json=body)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise GraphRejected(rejection_reason(_object(answer), graph))
        self._require_success(answer)
        given = _object(answer).get("prompt_id")
        if not isinstance(given, str):
            raise EngineFailed("ComfyUI's answer to a graph names no execution")
        return given

    def history(self, prompt_id: str) -> Mapping[str, Any] | None:
        """Return the history of a finished execution; None while it is not."""
        entry = self._get(f"/history/{prompt_id}").get(prompt_id)
        return entry if isinstance(entry, dict) else None

    def forget(self, prompt_id: str) -> None:
        """Delete an execution from the history, which holds its prompt."""
        self._post("/history", {"delete": [prompt_id]})

    def running(self) -> tuple[str, ...]:
        """Return the executions that run now."""
        return _ids(self._get("/queue").get("queue_running"))

    def queued(self) -> tuple[str, ...]:
        """Return the executions that run now or wait."""
        queue = self._get("/queue")
        return _ids(queue.get("queue_running")) + _ids(queue.get("queue_pending"))

    def unqueue(self, prompt_id: str) -> None:
        """Take an execution that waits out of the queue."""
        self._post("/queue", {"delete": [prompt_id]})

    def interrupt(self, prompt_id: str) -> None:
        """Stop what runs; newer versions of ComfyUI stop this execution only."""
        self._post("/interrupt", {"prompt_id": prompt_id})

    def download(self, image: SavedImage) -> bytes:
        """Return the file of an image.

        :raises EngineFailed: when it is not there.
        """
        where = {"filename": image.filename, "subfolder": image.subfolder, "type": image.type}
        answer = self._request("GET", "/view", params=where)
        self._require_success(answer)
        return answer.content

    def upload(self, name: str, png: bytes) -> str:
        """Store an image among ComfyUI's temporary files; return its name for ``LoadImage``."""
        answer = self._request(
            "POST",
            "/upload/image",
            files={"image": (name, png, "image/png")},
            data={"type": "temp", "overwrite": "true"},
        )
        self._require_success(answer)
        stored = _object(answer).get("name")
        if not isinstance(stored, str):
            raise EngineFailed("ComfyUI's answer to an upload names no file")
        return f"{stored} [temp]"

    def object_info(self) -> Mapping[str, Any]:
        """Return every class of nodes that is installed."""
        return self._get("/object_info")

    def embeddings(self) -> tuple[str, ...]:
        """Return the names of the textual inversions."""
        answer = self._request("GET", "/embeddings")
        self._require_success(answer)
        names = _json(answer)
        if not isinstance(names, list):
            return ()
        return tuple(name for name in names if isinstance(name, str))

    def system_stats(self) -> Mapping[str, Any]:
        """Return versions and devices."""
        return self._get("/system_stats")

    def _get(self, path: str) -> Mapping[str, Any]:
        answer = self._request("GET", path)
        self._require_success(answer)
        return _object(answer)

    def _post(self, path: str, body: Mapping[str, object]) -> None:
        self._require_success(self._request("POST", path, json=body))

    def _request(self, method: str, path: str, **parts: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **parts)
        except httpx.TransportError as error:
            raise EngineAway("ComfyUI does not answer") from error

    @staticmethod
    def _require_success(answer: httpx.Response) -> None:
        if answer.status_code in (502, 503, 504):
            # A proxy before it says that it is away.
            raise EngineAway(f"ComfyUI does not answer: status {answer.status_code}")
        if not answer.is_success:
            path = answer.request.url.path
            raise EngineFailed(f"ComfyUI answers {path} with status {answer.status_code}")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise EngineFailed("ComfyUI's answer is no JSON") from error


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    found = _json(answer)
    return found if isinstance(found, dict) else {}


def _ids(items: Any) -> tuple[str, ...]:
    """Read the ids of a queue, whose items are ``[number, id, …]``."""
    if not isinstance(items, list):
        return ()
    return tuple(item[1] for item in items if isinstance(item, list) and len(item) > 1)


def rejection_reason(answer: Mapping[str, Any], graph: Mapping[str, object]) -> str:
    """Say which node is wrong and how, in the API's own fixed words.

    The ``details`` quote what went into the node, which may be the prompt, so they stay out; the
    input's name is taken where it stands by itself.
    """
    errors = answer.get("node_errors")
    for node, found in errors.items() if isinstance(errors, dict) else ():
        if not isinstance(found, dict):
            continue
        kind = _text(found.get("class_type")) or _kind_of(graph, node)
        for each in _objects(found.get("errors")):
            extra = each.get("extra_info")
            name = _text(extra.get("input_name")) if isinstance(extra, dict) else ""
            where = f"{kind}.{name}" if name else kind
            return f"ComfyUI rejects the graph: {where}: {_text(each.get('type'))}"
    error = answer.get("error")
    kind = _text(error.get("type")) if isinstance(error, dict) else ""
    return f"ComfyUI rejects the graph: {kind or 'for no reason that it gives'}"


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind_of(graph: Mapping[str, object], node: str) -> str:
    found = graph.get(node)
    return _text(found.get("class_type")) if isinstance(found, dict) else ""
