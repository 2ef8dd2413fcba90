"""Posts to addresses that integrators gave, under the guard for strangers' addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.service.fetching import FetchFailed
from domain.webhooks.attempts import requested_wait
from infrastructure.outbound.exchanges import Streamed
from infrastructure.outbound.guard import Outbound

MOST_CUT_BYTES = 1024
"""How much of an answer is kept, in bytes of UTF-8."""

POSTS_AT_ONCE = 256
"""Posts at a time of one process; apart from fetches, which hanging receivers must not hold up."""

STALLED_SECONDS = 15.0
"""How long a receiver may do nothing at all."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said."""

    status: int
    """Any HTTP status; one that points elsewhere (3xx) was not followed."""
    cut: str
    """The beginning of the body, at most 1 KiB of UTF-8 and without control characters; empty
    when it came compressed."""
    retry_after: timedelta | None
    """How long it asked to wait; None when it did not, or when that cannot be read."""


class WebhookPosts(Outbound):
    """Posts, connecting only to addresses that the guard has checked."""

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> Answer:
        """Post a body to an address and return the answer; redirects are not followed.

        An answer counts once its status is there, however the body goes on.

        :param headers: further ones; the host, the length and the like are set here.
        :param seconds: for all of it: names, connection, request and answer.
        :param stalled_seconds: how long the receiver may do nothing at all.
        :raises FetchFailed: saying why there is no answer.
        """
        with self._sent(
            "POST", url, body, headers, seconds=seconds, stalled_seconds=stalled_seconds
        ) as answer:
            cut = _cut(answer)
        wait = requested_wait(answer.headers.get("retry-after"), datetime.now(UTC))
        return Answer(answer.status, cut, wait)


def _cut(answer: Streamed) -> str:
    """Return the beginning of a body, as far as it comes."""
    if not answer.is_plain:
        return ""
    read = bytearray()
    try:
        for chunk in answer.chunks:
            read += chunk
            if len(read) >= MOST_CUT_BYTES:
                break
    except FetchFailed:
        # The status is known; only the rest of the body is lost.
        pass
    text = _CONTROLS.sub(" ", read[:MOST_CUT_BYTES].decode("utf-8", "replace"))
    return text.encode()[:MOST_CUT_BYTES].decode("utf-8", "ignore")
