"""The store of LoRAs that the settings describe."""

from __future__ import annotations

from infrastructure.models.civitai import Civitai
from infrastructure.outbound.downloads import GuardedDownloads
from infrastructure.outbound.guard import Outbound
from infrastructure.settings.environment import Settings
from workers.models.hashes import HashCache
from workers.models.loras import LoraLimits, LoraStore

_MEBIBYTE = 1024**2


def open_lora_store(settings: Settings, outbound: Outbound, hashes: HashCache) -> LoraStore:
    """Return the store of this installation's workers.

    Without ``civitai_url`` it has only the files in its folder.

    :param outbound: guards what is downloaded.
    """
    token = settings.civitai_token.get_secret_value() if settings.civitai_token else None
    return LoraStore(
        settings.lora_folder,
        (
            None
            if settings.civitai_url is None
            else Civitai(
                settings.civitai_url, timeout=settings.civitai_timeout_seconds, token=token
            )
        ),
        GuardedDownloads(outbound, token=token, token_for=settings.civitai_url),
        hashes,
        limits=LoraLimits(
            budget_bytes=settings.worker_lora_budget_mib * _MEBIBYTE,
            largest_bytes=settings.worker_lora_largest_mib * _MEBIBYTE,
            fresh_seconds=settings.civitai_fresh_seconds,
        ),
    )
