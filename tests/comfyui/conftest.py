"""Fixtures: one ComfyUI for all tests, and Hoard's engine on it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from infrastructure.models.catalogue import ModelCatalogue
from infrastructure.models.civitai import Civitai
from infrastructure.outbound.downloads import GuardedDownloads
from infrastructure.outbound.guard import Outbound
from tests.comfyui.checkpoint import NAME, checkpoint_file
from tests.comfyui.controlnet_weights import controlnet_weights
from tests.comfyui.installation import installation
from tests.comfyui.lora_weights import lora_weights
from tests.comfyui.server import ComfyUIServer
from tests.comfyui.unet_weights import CONTEXT
from tests.comfyui.upscaler_weights import upscaler_weights
from tests.integration.models.civitai_server import CivitaiServer, civitai
from tests.integration.models.lora_downloads import LoraDownload, publish
from workers.engines.comfyui.engine import ComfyUIEngine
from workers.models.checkpoints import ComfyUIModelFiles
from workers.models.hashes import HashCache
from workers.models.lora_store import LoraStore

LORA_MODEL = 195
OLDER, NEWER = 1001, 1002
"""Ids of the two versions of the LoRA that is published."""
TRIGGER = "glimmerstyle"
EMBEDDING = "tinyword"
"""A textual inversion that is installed."""
UPSCALER = "RealESRGAN_x4plus"
"""The one upscaler that is installed."""


@pytest.fixture(scope="session")
def comfyui_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUIServer]:
    """A ComfyUI that runs for the whole session, with the tiny checkpoint."""
    installed = installation()
    if not installed.is_ready:
        pytest.fail("ComfyUI is not installed: run make test-comfyui", pytrace=False)
    server = ComfyUIServer(installed, tmp_path_factory.mktemp("comfyui") / "base")
    server.add_checkpoint(checkpoint_file(installed.home), NAME)
    word = torch.randn(2, CONTEXT, generator=torch.Generator().manual_seed(1))
    server.add_model("embeddings", EMBEDDING, {"emb_params": word})
    server.add_model("upscale_models", UPSCALER, upscaler_weights())
    server.add_model("controlnet", "control_canny", controlnet_weights(seed=2))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def comfyui(comfyui_process: ComfyUIServer) -> ComfyUIServer:
    """The same, with nothing counted yet; a test that ended it has it started again."""
    if not comfyui_process.is_running:
        comfyui_process.start()
    comfyui_process.passes()
    return comfyui_process


@dataclass(frozen=True, slots=True)
class PublishedLora:
    """The LoRA that the metadata server knows, and how often its versions were fetched."""

    server: CivitaiServer
    downloads: dict[int, LoraDownload] = field(default_factory=dict)


@pytest.fixture
def lora() -> Iterator[PublishedLora]:
    """A server of CivitAI's shape with two versions of a LoRA for the tiny checkpoint."""
    with civitai() as server:
        published = PublishedLora(server)
        versions = []
        for version_id in (NEWER, OLDER):
            data = save(lora_weights(version_id))
            version, download = publish(server, version_id, data=data, words=(TRIGGER,))
            versions.append(version)
            published.downloads[version_id] = download
        server.add(LORA_MODEL, "Glimmer", tuple(versions))
        yield published


@pytest.fixture
def engine(comfyui: ComfyUIServer, lora: PublishedLora, tmp_path: Path) -> Iterator[ComfyUIEngine]:
    """Hoard's engine on that ComfyUI, with real stores of models and LoRAs."""
    hashes = HashCache(comfyui.base / "hashes.json")
    outbound = Outbound(
        permitted=[ip_network("127.0.0.0/8")],
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    with (
        closing(outbound),
        closing(
            LoraStore(
                comfyui.models("loras"),
                Civitai(lora.server.url, timeout=30),
                GuardedDownloads(outbound),
                hashes,
            )
        ) as loras,
        closing(
            ComfyUIEngine(
                comfyui.url,
                ComfyUIModelFiles(comfyui.base, ModelCatalogue.in_folder(tmp_path), hashes),
                loras=loras,
                folder=comfyui.base,
            )
        ) as made,
    ):
        yield made
