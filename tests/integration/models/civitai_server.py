"""A server that answers as CivitAI's documented API does (developer.civitai.com, 2026-11).

Fields that Hoard does not read are in the answers, too: they must do no harm.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

PREFIX = "/api/v1"
DOWNLOADS = "/api/download/models/"


class Download(Protocol):
    """Gives out the file of a version."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Give it out to one who asks."""


def sha256_of(version_id: int) -> str:
    """Return the SHA-256 that the file of a version has here, in capitals as there."""
    return f"{version_id:064X}"


def a_version(version_id: int, base_model: str = "SDXL 1.0", words: tuple[str, ...] = ()) -> Any:
    """Return a version as it stands within a model."""
    return {
        "id": version_id,
        "index": 0,
        "name": f"v{version_id}",
        "baseModel": base_model,
        "baseModelType": "Standard",
        "publishedAt": "2026-01-02T03:04:05.678Z",
        "availability": "Public",
        "nsfwLevel": 1,
        "trainedWords": list(words),
        "stats": {"downloadCount": 12, "thumbsUpCount": 3},
        "files": [
            {
                "id": version_id * 10,
                "sizeKB": 223_000.5,
                "name": "training.zip",
                "type": "Training Data",
                "hashes": {"SHA256": "F" * 64},
            },
            {
                "id": version_id * 10 + 1,
                "sizeKB": 223_000.5,
                "name": f"lora_{version_id}.safetensors",
                "type": "Model",
                "pickleScanResult": "Success",
                "metadata": {"format": "SafeTensor", "size": None, "fp": None},
                "hashes": {"AutoV2": "ABCDEF0123", "SHA256": sha256_of(version_id)},
                "primary": True,
                "downloadUrl": f"https://civitai.com/api/download/models/{version_id}",
            },
        ],
        "images": [],
    }


@dataclass
class CivitaiServer:
    """The server, and what it is told to be like."""

    url: str
    models: dict[int, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths and queries of all requests."""
    status: int = 200
    """The status of every answer; other than 200, the answer is an error."""
    body: bytes | None = None
    """What to answer instead of what is documented."""
    faults: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """The status and the body of every answer about a path, such as ``/models/7``."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Every answer waits until this is set; it is, unless a test clears it."""
    downloads: dict[int, Download] = field(default_factory=dict)
    """The files, by their versions' ids."""
    shown: list[str | None] = field(default_factory=list)
    """What each request for metadata showed to be let in."""

    def download_url(self, version_id: int) -> str:
        """Return where the file of a version lies."""
        return f"{self.url.removesuffix(PREFIX)}{DOWNLOADS}{version_id}"

    def add(
        self,
        model_id: int,
        name: str,
        versions: tuple[Any, ...],
        *,
        kind: str = "LORA",
        nsfw: bool = False,
    ) -> None:
        """Publish a model; the first version is the latest."""
        self.models[model_id] = {
            "id": model_id,
            "name": name,
            "description": "<p>A LoRA.</p>",
            "type": kind,
            "poi": False,
            "minor": False,
            "nsfw": nsfw,
            "nsfwLevel": 1,
            "allowCommercialUse": ["Image"],
            "creator": {"username": "somebody", "image": None},
            "tags": ["style"],
            "stats": {"downloadCount": 12},
            "modelVersions": list(versions),
        }

    def answer(self, address: str) -> tuple[int, bytes]:
        """Return status and body for a path and query."""
        self.asked.append(address)
        self.hold.wait()
        if self.status != 200:
            return self.status, b'{"error": "something broke"}'
        if self.body is not None:
            return 200, self.body
        parts = urlsplit(address)
        path = parts.path.removeprefix(PREFIX)
        if path in self.faults:
            return self.faults[path]
        match path.strip("/").split("/"):
            case ["models"]:
                found: Any = self._search(parse_qs(parts.query))
            case ["models", model_id]:
                found = self.models.get(int(model_id))
            case ["model-versions", version_id]:
                found = self._version(int(version_id))
            case _:
                found = None
        if found is None:
            return 404, b'{"error": "No model with this id"}'
        return 200, json.dumps(found).encode()

    def _search(self, query: dict[str, list[str]]) -> Any:
        words = query["query"][0].casefold()
        kinds = query.get("types", [])
        items = [
            model
            for model in self.models.values()
            if words in model["name"].casefold() and model["type"] in kinds
        ]
        return {"items": items, "metadata": {"nextPage": None}}

    def _version(self, version_id: int) -> Any:
        for model in self.models.values():
            for version in model["modelVersions"]:
                if version["id"] == version_id:
                    about = {key: model[key] for key in ("name", "type", "nsfw", "poi", "minor")}
                    return version | {"modelId": model["id"], "model": about}
        return None


@contextmanager
def civitai() -> Iterator[CivitaiServer]:
    """Run the server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith(DOWNLOADS):
                with suppress(ConnectionError):
                    server.downloads[int(self.path.removeprefix(DOWNLOADS))].answer(self)
                return
            server.shown.append(self.headers.get("Authorization"))
            status, body = server.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = CivitaiServer(f"http://127.0.0.1:{http.server_port}{PREFIX}")
    server.hold.set()
    serving = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        yield server
    finally:
        server.hold.set()
        http.shutdown()
        http.server_close()
        serving.join()
