"""Wake-ups between the processes of one installation, over two channels of a Redis."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from infrastructure.wakeups.broadcast import ChannelListener, Step

if TYPE_CHECKING:
    from redis import Redis

SCHEMES = frozenset({"redis", "rediss", "redis+socket"})
"""URL schemes of the brokers that this can use."""

_TIMEOUT_SECONDS = 1.0
_POLL_SECONDS = 1.0
_LONGEST_MESSAGE_BYTES = 1_000
_MOST_UNANSWERED_PINGS = 2


class RedisChannels:
    """Publishes and subscribes; a message without a subscriber is lost.

    Redis does not divide channels among its databases, so that the number of the broker's is part
    of their names: installations that share a server have one each.

    :param check_seconds: after how many seconds without a message a connection is checked.
    """

    _client: Redis | None
    _sender: str

    def __init__(self, broker_url: str, *, check_seconds: int = 5) -> None:
        """Use the broker at this URL, of one of :data:`SCHEMES`; nothing is connected yet."""
        self._broker_url = broker_url
        self._check_seconds = check_seconds
        self.forked()

    def send(self, changed: bool, steps: Sequence[Step]) -> None:
        """Publish over the kept connection, or a new one.

        :raises Exception: any, unless Redis has confirmed all messages.
        """
        client = self._client = self._client or self._connect()
        with client.pipeline(transaction=False) as messages:
            if changed:
                messages.publish(self._name("changed"), self._sender)
            for step in steps:
                message = _StepMessage(
                    sender=self._sender, job=step.job_id, step=step.step, steps=step.steps
                )
                messages.publish(self._name("progress"), message.model_dump_json())
            messages.execute()

    def receive(self, listener: ChannelListener, is_wanted: Callable[[], bool]) -> None:
        """Receive other processes' messages while that is wanted; this is asked every second.

        :raises Exception: any, when the connection fails.
        """
        names = {self._name("changed").encode(), self._name("progress").encode()}
        with self._connect() as client, client.pubsub() as channels:
            channels.subscribe(*names)
            while is_wanted():
                message = channels.get_message(timeout=_POLL_SECONDS)
                if channels.health_check_response_counter > _MOST_UNANSWERED_PINGS:
                    raise TimeoutError("Redis does not answer")
                if message is None:
                    continue
                if message["type"] == "subscribe" and message["data"] == len(names):
                    listener.subscribed()
                elif message["type"] == "message":
                    self._pass_on(message["channel"], message["data"], listener)

    def disconnect(self) -> None:
        """Close the connection for publishing; the next message connects again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def forked(self) -> None:
        """Start anew in a forked child: the connection is the parent's."""
        self._client = None
        self._sender = f"{os.getpid()}.{secrets.token_hex(8)}"

    def _pass_on(self, channel: bytes, data: bytes, listener: ChannelListener) -> None:
        if channel == self._name("changed").encode():
            if data != self._sender.encode():
                listener.changed()
        elif (message := _read(data)) is not None and message.sender != self._sender:
            listener.progress(message.job, message.step, message.steps)

    def _name(self, what: str) -> str:
        return f"hoard.{_database(self._broker_url)}.{what}"

    def _connect(self) -> Redis:
        # Imported late: only processes that send or receive need the library.
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis(
            **connection_of(self._broker_url),
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            # The caller retries, and must not be held up here.
            retry=Retry(NoBackoff(), 0),
            health_check_interval=self._check_seconds,
            # RESP2, which every Redis has.
            protocol=2,
        )


class _StepMessage(BaseModel):
    """A step as it is published."""

    model_config = ConfigDict(frozen=True)

    sender: str
    job: UUID
    step: PositiveInt
    steps: PositiveInt


def _read(data: bytes) -> _StepMessage | None:
    """Read a message; None for one of another program."""
    if len(data) > _LONGEST_MESSAGE_BYTES:
        return None
    try:
        message = _StepMessage.model_validate(orjson.loads(data))
    except (ValueError, ValidationError):
        return None
    return message if message.step <= message.steps else None


def connection_of(broker_url: str) -> dict[str, Any]:
    """Turn a broker URL of Celery into arguments of a Redis client: address, credentials, TLS.

    :raises ValueError: when the database or the port is not a number.
    """
    url = urlsplit(broker_url)
    arguments: dict[str, Any] = {"db": _database(broker_url)}
    if url.username:
        arguments["username"] = unquote(url.username)
    if url.password:
        arguments["password"] = unquote(url.password)
    if url.scheme == "redis+socket":
        return arguments | {"unix_socket_path": unquote(url.path)}
    arguments |= {"host": url.hostname or "127.0.0.1", "port": url.port or 6379}
    if url.scheme == "rediss":
        arguments["ssl"] = True
        for name, value in parse_qsl(url.query):
            if name == "ssl_cert_reqs":
                arguments[name] = value.removeprefix("CERT_").lower()
            elif name == "ssl_check_hostname":
                arguments[name] = value.lower() in {"1", "true", "yes"}
            elif name in {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}:
                arguments[name] = value
    return arguments


def _database(broker_url: str) -> int:
    url = urlsplit(broker_url)
    if url.scheme == "redis+socket":
        number = dict(parse_qsl(url.query)).get("virtual_host", "")
    else:
        number = url.path
    return int(number.strip("/") or 0)
