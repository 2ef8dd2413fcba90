"""Builds the engine that the settings name, and what inspects its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.models.catalogue import Models
from infrastructure.outbound.guard import Outbound
from infrastructure.processes.garbage import collecting_later
from infrastructure.settings.environment import Settings
from infrastructure.settings.worker import OPEN_NSFW
from workers.engines.protocol import Engine
from workers.inference.open_nsfw import OpenNsfw
from workers.inference.safety import Inspector, load_inspector
from workers.models.hashes import HashCache

if TYPE_CHECKING:
    from workers.models.lora_store import LoraStore


@dataclass(frozen=True, slots=True)
class Supplies:
    """What an engine needs beside the settings."""

    models: Models
    """The catalogue."""
    outbound: Outbound
    """Fetches what is downloaded."""


def make_engine(settings: Settings, supplies: Supplies) -> Engine:
    """Return the engine that the settings name.

    :raises EngineFailed: when it cannot be built.
    """
    hashes = HashCache(settings.data / "hashes.json")
    loras = _loras(settings, supplies, hashes)
    with collecting_later():
        if settings.worker_engine == "comfyui":
            return _comfyui(settings, supplies, hashes, loras)
        from workers.engines.diffusers.engine import DiffusersEngine

        return DiffusersEngine(settings.pipelines, loras=loras, hash_of=hashes.sha256_of)


def make_inspector(settings: Settings) -> Inspector | None:
    """Return the content checker that the settings name; None for none.

    :raises InspectorInvalid: when it cannot be loaded.
    """
    name = settings.worker_inspector
    if name == OPEN_NSFW:
        return OpenNsfw(settings.worker_inspector_threshold)
    return None if name is None else load_inspector(name)


def _loras(settings: Settings, supplies: Supplies, hashes: HashCache) -> LoraStore | None:
    """Return the store of LoRAs; None without a source and without a folder."""
    if settings.civitai_url is None and settings.worker_lora_folder is None:
        return None
    from infrastructure.models.lora_store import open_lora_store

    return open_lora_store(settings, supplies.outbound, hashes)


def _comfyui(
    settings: Settings, supplies: Supplies, hashes: HashCache, loras: LoraStore | None
) -> Engine:
    from workers.engines.comfyui.engine import ComfyUIEngine
    from workers.models.checkpoints import ComfyUIModelFiles

    folder = settings.worker_comfyui_folder
    assert folder is not None
    files = ComfyUIModelFiles(folder, supplies.models, hashes)
    return ComfyUIEngine(
        settings.worker_comfyui_url,
        files,
        loras=loras,
        folder=folder,
        owner=f"{settings.worker_name} of {settings.data.resolve()}",
    )
