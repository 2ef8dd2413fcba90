"""Follows a request until it ends, also while its server is away for a while."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from infrastructure.cli.requests.api_client import (
    Checked,
    ServerRefused,
    ServerUnreachable,
    V2Client,
)
from infrastructure.cli.requests.event_stream import NoStream, StreamEvent
from infrastructure.cli.requests.progress_display import ProgressDisplay, Step

OUTAGE_TIMEOUT_SECONDS = 60.0
"""How long a server may be unreachable; the request itself is not affected."""

_RETRYABLE = frozenset({429, 500, 502, 503, 504})
_NOT_MODIFIED = 304
_LONGEST_POLL_SECONDS = 20
_MAX_EMPTY_STREAMS = 3
"""Empty streams in a row, after which the server is polled instead."""


def watch(
    client: V2Client,
    request_id: str,
    display: ProgressDisplay,
    *,
    interval: float = 0.5,
    outage_timeout: float = OUTAGE_TIMEOUT_SECONDS,
    within: float = math.inf,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Checked:
    """Show the progress of a request until it is done, and return the server's last answer.

    It follows the request's stream of events if there is one; otherwise it polls, with long
    polling if the server has it.

    :param interval: seconds between two polls, or between two streams.
    :param outage_timeout: seconds that the server may be unreachable.
    :param within: seconds after which it returns, done or not.
    :raises ServerUnreachable, ServerRefused: when it is unreachable for longer, or refuses.
    """
    watching = _Watching(client, request_id, display, outage_timeout, within, clock)
    for turn in (watching.follow, watching.poll):
        while True:
            try:
                checked = turn()
            except NoStream:
                break
            except (ServerUnreachable, ServerRefused) as error:
                watching.failed(error)
            else:
                if checked is not None:
                    return checked
            pause(interval)
    raise AssertionError("polling never ends without an answer")


class _Watching:
    """The state of following one request."""

    def __init__(
        self,
        client: V2Client,
        request_id: str,
        display: ProgressDisplay,
        outage_timeout: float,
        within: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._request_id = request_id
        self._display = display
        self._outage_timeout = outage_timeout
        self._within = within
        self._clock = clock
        self._started = self._answered = clock()
        self._last_id = ""
        self._silent = 0
        self._etag: str | None = None
        self._can_wait = True

    def follow(self) -> Checked | None:
        """Follow one stream; return the last answer, or None when the stream broke off.

        :raises NoStream: when there is none, or too many were empty.
        """
        if self._silent >= _MAX_EMPTY_STREAMS:
            raise NoStream("streams bring nothing from this server")
        self._silent += 1
        with closing(self._client.events(self._request_id, self._last_id)) as events:
            for event in events:
                self._silent = 0
                self._answered = self._clock()
                last = self._take(event)
                if last is not None:
                    return last
        return self._checked(self._client.check(self._request_id))

    def poll(self) -> Checked | None:
        """Poll once; return the answer if it is the last one."""
        left = self._started + self._within - self._clock()
        wait = int(max(min(_LONGEST_POLL_SECONDS, left), 0))
        seen = self._etag if self._can_wait else None
        try:
            checked, self._etag = self._client.check_when_changed(self._request_id, seen, wait)
        except ServerRefused as error:
            if error.status != _NOT_MODIFIED:
                raise
            # It knows entity tags, but no long polling.
            self._can_wait = False
            return None
        return self._checked(checked)

    def failed(self, error: ServerUnreachable | ServerRefused) -> None:
        """Show an outage, if a retry may help.

        :raises ServerUnreachable, ServerRefused: otherwise, or after the outage timeout.
        """
        if isinstance(error, ServerRefused) and error.status not in _RETRYABLE:
            raise error
        if self._clock() - self._answered > self._outage_timeout:
            raise error
        self._display.away(str(error))

    def _take(self, event: StreamEvent | None) -> Checked | None:
        """Show an event of the stream; return the last answer, if the request has ended."""
        is_news = False
        if event is not None:
            self._last_id = event.last_id or self._last_id
            step = _step_of(event.data) if event.event == "progress" else None
            if step is not None:
                self._display.step(step)
            is_news = step is None
        if not is_news and self._clock() - self._started <= self._within:
            return None
        # The stream says only that there is news; the counts are the server's own.
        return self._checked(self._client.check(self._request_id))

    def _checked(self, checked: Checked) -> Checked | None:
        self._answered = self._clock()
        self._display.progress(checked)
        is_over = checked.done or checked.faulted
        return checked if is_over or self._answered - self._started > self._within else None


def _step_of(data: Mapping[str, Any]) -> Step | None:
    job, images = data.get("job"), data.get("images")
    step, steps = data.get("step"), data.get("steps")
    if not (isinstance(job, str) and isinstance(images, int)):
        return None
    if not (isinstance(step, int) and isinstance(steps, int) and 0 <= step <= steps != 0):
        return None
    return Step(job, images, step, steps)
