"""Watching a request until no more of it will come, on a server that may come and go."""

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
from infrastructure.cli.requests.event_stream import Happened, NoStream
from infrastructure.cli.requests.progress_display import Shown, Step

PATIENCE_SECONDS = 60.0
"""How long a server may stay away before watching ends; the request itself loses nothing."""

_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_NOT_MODIFIED = 304
_LONGEST_POLL_SECONDS = 20
_MOST_SILENT_STREAMS = 3
"""Streams in a row that bring nothing, after which no more is expected of them."""


def watch(
    client: V2Client,
    request_id: str,
    shown: Shown,
    *,
    interval: float = 0.5,
    patience: float = PATIENCE_SECONDS,
    within: float = math.inf,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Checked:
    """Show how far a request is until it is done, and return the server's last answer.

    The server tells it in a stream if it can. Otherwise it is asked, again and again, and waits
    with its answer if it can do that.

    :param interval: seconds between two questions, or between two streams.
    :param patience: seconds that the server may stay away.
    :param within: seconds after which watching ends, done or not; the caller looks at the answer.
    :raises ServerUnreachable, ServerRefused: when it stays away longer, or will not say.
    """
    watching = _Watching(client, request_id, shown, patience, within, clock)
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
    """What is known of a request that is being watched."""

    def __init__(
        self,
        client: V2Client,
        request_id: str,
        shown: Shown,
        patience: float,
        within: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._request_id = request_id
        self._shown = shown
        self._patience = patience
        self._within = within
        self._clock = clock
        self._started = self._answered = clock()
        self._last_id = ""
        self._silent = 0
        self._etag: str | None = None
        self._can_wait = True

    def follow(self) -> Checked | None:
        """Follow one stream; return the last answer, or None when it broke off before the end.

        :raises NoStream: when there is none, or none that brings anything.
        """
        if self._silent >= _MOST_SILENT_STREAMS:
            raise NoStream("streams bring nothing from this server")
        self._silent += 1
        with closing(self._client.events(self._request_id, self._last_id)) as events:
            for happened in events:
                self._silent = 0
                self._answered = self._clock()
                last = self._take(happened)
                if last is not None:
                    return last
        return self._checked(self._client.check(self._request_id))

    def poll(self) -> Checked | None:
        """Ask once; return the answer if it is the last one."""
        left = self._started + self._within - self._clock()
        wait = int(max(min(_LONGEST_POLL_SECONDS, left), 0))
        seen = self._etag if self._can_wait else None
        try:
            checked, self._etag = self._client.check_when_changed(self._request_id, seen, wait)
        except ServerRefused as error:
            if error.status != _NOT_MODIFIED:
                raise
            # It knows such tags, but not what it is to wait for.
            self._can_wait = False
            return None
        return self._checked(checked)

    def failed(self, error: ServerUnreachable | ServerRefused) -> None:
        """Show that the server is away, if it may come back.

        :raises ServerUnreachable, ServerRefused: when it will not, or was away for too long.
        """
        if isinstance(error, ServerRefused) and error.status not in _TRY_AGAIN:
            raise error
        if self._clock() - self._answered > self._patience:
            raise error
        self._shown.away(str(error))

    def _take(self, happened: Happened | None) -> Checked | None:
        """Show what a stream told; return the last answer, if there will be no other."""
        is_news = False
        if happened is not None:
            self._last_id = happened.last_id or self._last_id
            step = _step_of(happened.data) if happened.event == "progress" else None
            if step is not None:
                self._shown.step(step)
            is_news = step is None
        if not is_news and self._clock() - self._started <= self._within:
            return None
        # The stream says only that there is news; the counts are the server's own.
        return self._checked(self._client.check(self._request_id))

    def _checked(self, checked: Checked) -> Checked | None:
        self._answered = self._clock()
        self._shown.progress(checked)
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
