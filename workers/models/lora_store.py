"""LoRAs on disk: the exact version that is meant, downloaded when it is missing."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from domain.models.loras import Lora, is_civitai_id
from workers.models.downloads import Downloads, OnDownloaded
from workers.models.hashes import HashCache
from workers.models.lookup_pauses import LookupPauses
from workers.models.lora_cache import LoraCache, own_file
from workers.models.lora_fetcher import LoraFetcher, LoraLimits
from workers.models.lora_versions import (
    LoraFile,
    LoraFiles,
    LoraRecord,
    LoraUnavailable,
    MetadataUnavailable,
    MetadataUnusable,
    PublishedLora,
)

__all__ = ["LoraFile", "LoraLimits", "LoraStore", "LoraUnavailable"]

_LONGEST_ID: Final = 18
_SAME_JOB_SECONDS: Final = 5.0


class LoraStore:
    """Gives out the files of LoRAs, each the very version that is meant.

    With a version's id that version is meant, and nothing else will do; it is fetched once and
    needs no network afterwards. A model's name or id means its latest version, of which the
    metadata names; while that is away, it means the version it last meant, if that lies here.
    A file that the operator laid there is meant by exactly its own name without its ending, unless
    that is written as an id. A fetched one counts only with the SHA-256 that the metadata gives.
    Safe with several processes on one folder.
    """

    def __init__(
        self,
        folder: Path,
        metadata: LoraFiles | None,
        downloads: Downloads,
        hashes: HashCache,
        *,
        limits: LoraLimits | None = None,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the files in this folder, which is made if need be.

        :param folder: for ComfyUI its ``models/loras``.
        :param metadata: None to use only what lies there.
        :param limits: left out, the defaults.
        :param now: seconds since 1970.
        :param pause: waits for some seconds between attempts to download.
        """
        self._limits = limits or LoraLimits()
        self._cache = LoraCache(folder, hashes, budget_bytes=self._limits.budget_bytes)
        self._fetcher = LoraFetcher(self._cache, downloads, hashes, self._limits, pause)
        self._folder = folder
        self._hashes = hashes
        self._metadata = metadata
        self._now = now
        self._pauses = LookupPauses(now)
        self._last_fetched = float("-inf")

    def fetch(self, lora: Lora, on_bytes: OnDownloaded = lambda done, total: None) -> LoraFile:
        """Return the file of the version that a LoRA means, downloading it if need be.

        No process removes it while this one may be loading it: until this one has fetched five
        others, or for one more some seconds after the last, which is another job's.

        :param on_bytes: called with the progress of a download; what it raises is passed on, and
            the next fetch goes on from there.
        :raises LoraUnavailable: when there is no such file to be had; never gives another.
        """
        if self._now() - self._last_fetched > _SAME_JOB_SECONDS:
            self._cache.release()
        try:
            self._cache.make_folder()
            return self._fetch(lora, on_bytes)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise LoraUnavailable(
                "the disk is full" if full else "the folder of LoRAs cannot be used"
            ) from error
        finally:
            self._last_fetched = self._now()

    def close(self) -> None:
        """Let go of the files, which any process may remove from now on, and of the metadata."""
        self._cache.release()
        if self._metadata is not None:
            self._metadata.close()

    def _fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
        if not lora.is_version:
            return self._fetch_latest(lora, on_bytes)
        version_id = _plain_id(lora.name)
        if version_id is None:
            raise LoraUnavailable("there is no such version")
        there = self._cache.take(version_id)
        if there is not None:
            return there
        published = self._published(lora)
        if published.version_id != version_id:
            raise LoraUnavailable("the metadata describes another version")
        return self._fetcher.fetch(published, None, on_bytes)

    def _fetch_latest(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
        own = self._own_file(lora.name)
        if own is not None:
            return own
        last = self._last_known(lora)
        there = self._cache.take(last.version_id) if last and self._is_fresh(last) else None
        if there is not None:
            return there
        try:
            published = self._query(lora)
        except MetadataUnavailable:
            there = self._cache.take(last.version_id) if last else None
            if there is None:
                raise LoraUnavailable("the latest version is unknown") from None
            return there
        if published is None:
            raise LoraUnavailable("there is no such LoRA")
        checked_at = self._now()
        there = self._cache.take(published.version_id)
        if there is None:
            return self._fetcher.fetch(published, checked_at, on_bytes)
        record = self._cache.record(published.version_id)
        if record is not None:
            self._cache.write_record(replace(record, latest_at=checked_at))
        return there

    def _own_file(self, name: str) -> LoraFile | None:
        """Return the operator's own file of exactly this name."""
        found = None if is_civitai_id(name) else own_file(self._folder, name)
        if found is None:
            return None
        digest = self._hashes.sha256_of(found.path)
        return LoraFile(found.path, found.name, found.path.stem, digest)

    def _is_fresh(self, meant: LoraRecord) -> bool:
        age = self._now() - (meant.latest_at or 0.0)
        return 0 <= age < self._limits.fresh_seconds

    def _last_known(self, lora: Lora) -> LoraRecord | None:
        """Return the version here that a model's name or id last meant."""
        name, model_id = lora.name.strip().casefold(), _plain_id(lora.name)
        meant = [
            record
            for record in self._cache.records()
            if record.latest_at is not None
            and (
                record.model_id == model_id
                if model_id is not None
                else record.name.strip().casefold() == name
            )
        ]
        return max(meant, key=lambda record: record.latest_at or 0.0, default=None)

    def _published(self, lora: Lora) -> PublishedLora:
        try:
            published = self._query(lora)
        except MetadataUnavailable:
            raise LoraUnavailable("no address of the version is known") from None
        if published is None:
            raise LoraUnavailable("there is no such version")
        return published

    def _query(self, lora: Lora) -> PublishedLora | None:
        """Return the metadata; after a failure it is not requested for a while."""
        subject = f"{lora.is_version}:{lora.name}"
        if self._metadata is None or self._pauses.is_paused(subject):
            raise MetadataUnavailable("no metadata is asked for")
        with self._pauses.noting(subject):
            published = self._metadata.published(lora)
        if published is not None and _plain_id(published.version_id) != published.version_id:
            raise MetadataUnusable("the version's id is none")
        return published


def _plain_id(text: str) -> str | None:
    """Return an id as it is written without leading zeros; None when it is none."""
    text = text.strip()
    if not is_civitai_id(text) or len(text) > _LONGEST_ID:
        return None
    return str(int(text))
