"""Two channels of a Redis, over which the processes of one installation wake each other."""

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
"""Of the brokers whose Redis this can use."""

_SECONDS_TO_ANSWER = 1.0
_LOOKED_UP_EVERY_SECONDS = 1.0
_LONGEST_MESSAGE_BYTES = 1_000
_MOST_UNANSWERED = 2


class RedisChannels:
    """Publishes and hears; what nobody hears at that moment is kept nowhere.

    Redis does not divide channels among its databases, so that the number of the broker's is part
    of their names: installations that share a server have one each.

    :param check_seconds: how often a connection on which nothing comes is tried, whole seconds.
    """

    _client: Redis | None
    _sender: str

    def __init__(self, broker_url: str, *, check_seconds: int = 5) -> None:
        """Use the broker at this URL, of one of :data:`SCHEMES`; nothing is connected yet."""
        self._broker_url = broker_url
        self._check_seconds = check_seconds
        self.forked()

    def send(self, changed: bool, steps: Sequence[Step]) -> None:
        """Publish, over a connection that is kept, or a new one where that was lost.

        :raises Exception: whatever there is, when it cannot be known that Redis got it all.
        """
        client = self._client = self._client or self._connected()
        with client.pipeline(transaction=False) as messages:
            if changed:
                messages.publish(self._name("changed"), self._sender)
            for step in steps:
                told = _Told(sender=self._sender, job=step.job_id, step=step.step, steps=step.steps)
                messages.publish(self._name("progress"), told.model_dump_json())
            messages.execute()

    def hear(self, ear: ChannelListener, is_wanted: Callable[[], bool]) -> None:
        """Hear what others publish until that is no longer wanted, which is asked every second.

        What this process publishes itself is left out.

        :raises Exception: whatever there is, when the connection fails.
        """
        names = {self._name("changed").encode(), self._name("progress").encode()}
        with self._connected() as client, client.pubsub() as channels:
            channels.subscribe(*names)
            while is_wanted():
                message = channels.get_message(timeout=_LOOKED_UP_EVERY_SECONDS)
                if channels.health_check_response_counter > _MOST_UNANSWERED:
                    raise TimeoutError("Redis does not answer")
                if message is None:
                    continue
                if message["type"] == "subscribe" and message["data"] == len(names):
                    ear.subscribed()
                elif message["type"] == "message":
                    self._pass_on(message["channel"], message["data"], ear)

    def disconnect(self) -> None:
        """Let go of the connection for publishing; the next message connects again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def forked(self) -> None:
        """Be another process from now on: the connections are the parent's."""
        self._client = None
        self._sender = f"{os.getpid()}.{secrets.token_hex(8)}"

    def _pass_on(self, channel: bytes, data: bytes, ear: ChannelListener) -> None:
        if channel == self._name("changed").encode():
            if data != self._sender.encode():
                ear.changed()
        elif (told := _read(data)) is not None and told.sender != self._sender:
            ear.progress(told.job, told.step, told.steps)

    def _name(self, what: str) -> str:
        return f"hoard.{_database(self._broker_url)}.{what}"

    def _connected(self) -> Redis:
        # Only processes that tell or hear something need the library.
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis(
            **connection_of(self._broker_url),
            socket_timeout=_SECONDS_TO_ANSWER,
            socket_connect_timeout=_SECONDS_TO_ANSWER,
            # Who tells or hears tries again by itself, and must not be held up here.
            retry=Retry(NoBackoff(), 0),
            health_check_interval=self._check_seconds,
            # Every Redis knows it.
            protocol=2,
        )


class _Told(BaseModel):
    """A step as it is published."""

    model_config = ConfigDict(frozen=True)

    sender: str
    job: UUID
    step: PositiveInt
    steps: PositiveInt


def _read(data: bytes) -> _Told | None:
    """Return what was published; None for what anybody else left there."""
    if len(data) > _LONGEST_MESSAGE_BYTES:
        return None
    try:
        told = _Told.model_validate(orjson.loads(data))
    except (ValueError, ValidationError):
        return None
    return told if told.step <= told.steps else None


def connection_of(broker_url: str) -> dict[str, Any]:
    """Where Redis is, and how one gets in, as arguments of its client, from a URL for Celery.

    :raises ValueError: when the database is no number, or the port none.
    """
    url = urlsplit(broker_url)
    place: dict[str, Any] = {"db": _database(broker_url)}
    if url.username:
        place["username"] = unquote(url.username)
    if url.password:
        place["password"] = unquote(url.password)
    if url.scheme == "redis+socket":
        return place | {"unix_socket_path": unquote(url.path)}
    place |= {"host": url.hostname or "127.0.0.1", "port": url.port or 6379}
    if url.scheme == "rediss":
        place["ssl"] = True
        for name, value in parse_qsl(url.query):
            if name == "ssl_cert_reqs":
                place[name] = value.removeprefix("CERT_").lower()
            elif name == "ssl_check_hostname":
                place[name] = value.lower() in {"1", "true", "yes"}
            elif name in {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}:
                place[name] = value
    return place


def _database(broker_url: str) -> int:
    url = urlsplit(broker_url)
    if url.scheme == "redis+socket":
        number = dict(parse_qsl(url.query)).get("virtual_host", "")
    else:
        number = url.path
    return int(number.strip("/") or 0)
