"""Downloads of large files through the guard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.outbound.exchanges import Streamed
from infrastructure.outbound.guard import Outbound
from workers.models.downloads import DownloadFailed, DownloadLimits, OpenDownload

_OK: Final = 200
_PARTIAL: Final = 206
_BEYOND_THE_END: Final = 416
_NEEDS_A_KEY: Final = frozenset({401, 403})
_MAY_PASS: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500
_PASSING_PROBLEMS: Final = frozenset(
    {
        FetchProblem.NOT_RESOLVED,
        FetchProblem.NOT_TRUSTED,
        FetchProblem.UNREACHABLE,
        FetchProblem.TOO_SLOW,
        FetchProblem.BUSY,
    }
)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class GuardedDownloads:
    """Downloads files, and resumes interrupted downloads (RFC 9110, section 14)."""

    def __init__(
        self, outbound: Outbound, *, token: str | None = None, token_for: str | None = None
    ) -> None:
        """Use this guard.

        :param token: is sent to its own server only, and to no redirect target.
        :param token_for: an address there; scheme, host and port have to be the same.
        """
        self._outbound = outbound
        self._token = token
        self._token_for = None if token_for is None else _origin(token_for)

    @contextmanager
    def open(
        self, url: str, limits: DownloadLimits, *, start: int = 0, validator: str | None = None
    ) -> Iterator[OpenDownload]:
        """Request a file, or the rest of it; a server without ranges gives the whole file.

        :raises DownloadFailed: saying why nothing can be downloaded.
        """
        if start:
            with self._requested(url, limits, _rest_headers(start, validator)) as answer:
                begins = _begins_at(answer)
                if begins in {0, start}:
                    yield _opened(answer, begins, limits)
                    return
        with self._requested(url, limits, {}) as answer:
            if _begins_at(answer) != 0:
                raise DownloadFailed("the server gave another part of the file", may_pass=False)
            yield _opened(answer, 0, limits)

    @contextmanager
    def _requested(
        self, url: str, limits: DownloadLimits, headers: dict[str, str]
    ) -> Iterator[Streamed]:
        shown = self._token is not None and _origin(url) == self._token_for
        credentials = {"authorization": f"Bearer {self._token}"} if shown else {}
        try:
            with self._outbound.stream(
                url,
                seconds=limits.seconds,
                stalled_seconds=limits.stalled_seconds,
                headers=headers,
                credentials=credentials,
            ) as answer:
                yield answer
        except FetchFailed as failed:
            raise _failed(failed) from None


def _rest_headers(start: int, validator: str | None) -> dict[str, str]:
    headers = {"range": f"bytes={start}-"}
    return headers if validator is None else {**headers, "if-range": validator}


def _begins_at(answer: Streamed) -> int | None:
    """Return where in the file an answer begins; None when it is not the requested part.

    :raises DownloadFailed: when it is not a part of the file.
    """
    status = answer.status
    if status == _BEYOND_THE_END:
        return None
    if status in _NEEDS_A_KEY:
        raise DownloadFailed("the server gives the file only to those it knows", may_pass=False)
    if status not in {_OK, _PARTIAL}:
        may_pass = status in _MAY_PASS or status >= _FIRST_SERVER_ERROR
        raise DownloadFailed(f"the server answered with status {status}", may_pass=may_pass)
    if answer.headers.get("content-type", "").strip().lower().startswith("text/html"):
        # Servers ask browsers to sign in like this.
        raise DownloadFailed("a page came instead of the file", may_pass=False)
    if not answer.is_plain:
        raise DownloadFailed("the file came compressed", may_pass=False)
    if status == _OK:
        return 0
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    return int(found[1]) if found else None


def _opened(answer: Streamed, begins: int, limits: DownloadLimits) -> OpenDownload:
    total = _total(answer)
    if total is not None and total > limits.max_bytes:
        raise DownloadFailed("the file is too large", may_pass=False)
    return OpenDownload(begins, total, _validator(answer), _chunks(answer))


def _total(answer: Streamed) -> int | None:
    if answer.status == _PARTIAL:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        return int(found[3]) if found and found[3] != "*" else None
    length = answer.headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else None


def _validator(answer: Streamed) -> str | None:
    """Return a value for If-Range: a strong entity tag, else a date, never a weak tag."""
    tag = answer.headers.get("etag", "")
    found = tag if tag.startswith('"') else answer.headers.get("last-modified", "")
    return found if found and found.isascii() else None


def _chunks(answer: Streamed) -> Iterator[bytes]:
    try:
        yield from answer.chunks
    except FetchFailed as failed:
        raise _failed(failed) from None


def _failed(failed: FetchFailed) -> DownloadFailed:
    problem = failed.problem
    return DownloadFailed(problem.value, may_pass=problem in _PASSING_PROBLEMS)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme.lower())
        return parts.scheme.lower(), parts.hostname, port
    except ValueError:
        return "", None, None
