"""A process that fetches one version of a LoRA; run with a folder, a server's URL and an id."""

from __future__ import annotations

import sys
from ipaddress import ip_network
from pathlib import Path

from domain.models.loras import Lora
from infrastructure.models.civitai import Civitai
from infrastructure.outbound.downloads import GuardedDownloads
from infrastructure.outbound.guard import Outbound
from workers.models.hashes import HashCache
from workers.models.lora_store import LoraStore


def main(folder: str, url: str, version_id: str) -> None:
    """Fetch it, telling on standard output what it is at."""
    waiting: list[str] = []

    def on_bytes(done: int, total: int | None) -> None:
        if not waiting and total is None:
            waiting.append("waiting")
            print("waiting", flush=True)

    store = LoraStore(
        Path(folder) / "loras",
        Civitai(url, timeout=30),
        GuardedDownloads(Outbound(permitted=[ip_network("127.0.0.0/8")])),
        HashCache(Path(folder) / "hashes.json"),
    )
    file = store.fetch(Lora(version_id, is_version=True), on_bytes)
    print(file.version_id, file.sha256, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
