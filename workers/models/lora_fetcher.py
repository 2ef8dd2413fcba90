"""Fetching a LoRA's file: downloaded by one process at a time, checked, and put into the cache."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from workers.models.downloads import (
    DownloadFailed,
    DownloadLimits,
    Downloads,
    OnDownloaded,
    ResumingDownload,
)
from workers.models.hashes import HashCache, digest_of
from workers.models.locks import LockTaken, locked
from workers.models.lora_cache import LoraCache, NoRoom
from workers.models.lora_versions import LoraFile, LoraRecord, LoraUnavailable, PublishedLora
from workers.models.safetensors import NotSafetensors, shapes_of

_SUFFIX: Final = ".safetensors"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraLimits:
    """How much fetching LoRAs may take."""

    budget_bytes: int = 20 * 1024**3
    """On disk, all files together."""
    largest_bytes: int = 2 * 1024**3
    """Of one file."""
    seconds: float = 600.0
    """For one download."""
    stalled_seconds: float = 30.0
    """Of a download in which nothing comes."""
    fresh_seconds: float = 3600.0
    """For which the latest version of a model is taken to be the latest."""

    @property
    def largest_fitting(self) -> int:
        """Bytes of the largest file that may be fetched."""
        return min(self.largest_bytes, self.budget_bytes)


class _NotAsPublished(Exception):
    """What came has another digest than the one published."""


class LoraFetcher:
    """Downloads published files into the cache."""

    def __init__(
        self,
        cache: LoraCache,
        downloads: Downloads,
        hashes: HashCache,
        limits: LoraLimits,
        pause: Callable[[float], None],
    ) -> None:
        """Fetch within these limits, pausing between attempts by calling ``pause``."""
        self._cache = cache
        self._downloads = downloads
        self._hashes = hashes
        self._limits = limits
        self._pause = pause

    def fetch(
        self, published: PublishedLora, latest_at: float | None, on_bytes: OnDownloaded
    ) -> LoraFile:
        """Return the version's file, having downloaded it unless another process has just done so.

        :param latest_at: when it was found to be its model's latest version; None when it was not.
        :raises LoraUnavailable: when it cannot be had.
        :raises OSError: when the folder cannot be used.
        """
        version_id = published.version_id
        if not published.file_name.lower().endswith(_SUFFIX):
            raise LoraUnavailable("the file is not of the safetensors format")
        if (published.size_bytes or 0) > self._limits.largest_fitting:
            raise LoraUnavailable("the file is too large")
        self._cache.use(version_id)
        try:
            with locked(
                self._cache.lock_of(version_id),
                seconds=self._limits.seconds,
                while_waiting=lambda: on_bytes(0, None),
            ):
                there = self._cache.take(version_id)
                if there is None:
                    self._download(published, latest_at, on_bytes)
                    there = self._cache.take(version_id)
        except LockTaken:
            raise LoraUnavailable("another process is downloading it, too slowly") from None
        if there is None:
            raise LoraUnavailable("the file was changed on disk")
        return there

    def _download(
        self, published: PublishedLora, latest_at: float | None, on_bytes: OnDownloaded
    ) -> None:
        """Download a version and put it into the cache."""
        download = ResumingDownload(
            self._downloads,
            self._cache.part_of(published.version_id),
            is_checked=published.sha256 is not None,
        )
        with _reasons(download):
            was_resumed = download.is_started
            try:
                digest = self._run(download, published, on_bytes)
            except (_NotAsPublished, NotSafetensors):
                # What lay there from before may have been a part of something else.
                if not was_resumed:
                    raise
                download.drop()
                digest = self._run(download, published, on_bytes)
            self._put(download, published, digest, latest_at)

    def _run(
        self, download: ResumingDownload, published: PublishedLora, on_bytes: OnDownloaded
    ) -> str:
        """Return the digest of the file that came, after having checked it."""
        download.run(
            published.url,
            DownloadLimits(
                max_bytes=self._limits.largest_fitting,
                seconds=self._limits.seconds,
                stalled_seconds=self._limits.stalled_seconds,
            ),
            before=lambda left: self._cache.make_room(left, sparing=published.version_id),
            on_bytes=on_bytes,
            pause=self._pause,
        )
        # Where the server did not say how much would come, no room was made for it.
        self._cache.make_room(0, sparing=published.version_id)
        part = self._cache.part_of(published.version_id)
        digest = digest_of(part)
        if published.sha256 is not None and digest != published.sha256:
            raise _NotAsPublished
        shapes_of(part)
        return digest

    def _put(
        self,
        download: ResumingDownload,
        published: PublishedLora,
        digest: str,
        latest_at: float | None,
    ) -> None:
        # A record without its file is ignored; a file without its record may be removed.
        self._cache.write_record(
            LoraRecord(
                version_id=published.version_id,
                model_id=published.model_id,
                name=published.name,
                sha256=digest,
                base_model=published.base_model,
                trigger_words=published.trigger_words,
                latest_at=latest_at,
            )
        )
        path = self._cache.path_of(published.version_id)
        download.finish(path)
        self._hashes.store(path, digest)


@contextmanager
def _reasons(download: ResumingDownload) -> Iterator[None]:
    """Turn what may go wrong into reasons, and drop what must not be gone on with."""
    try:
        yield
    except _NotAsPublished:
        download.drop()
        raise LoraUnavailable("the file is not the one published: its SHA-256 differs") from None
    except NotSafetensors:
        download.drop()
        raise LoraUnavailable("the file is not of the safetensors format") from None
    except NoRoom:
        download.drop()
        raise LoraUnavailable("the disk budget for LoRAs is in use") from None
    except DownloadFailed as failed:
        if not failed.may_pass:
            download.drop()
        raise LoraUnavailable(f"download failed: {failed.reason}") from None
    except OSError as error:
        if error.errno in _FULL:
            download.drop()
        raise
