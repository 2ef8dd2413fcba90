"""Files of LoRAs as CivitAI gives them out, and the ways in which that goes wrong."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.integration.models.civitai_server import CivitaiServer, a_version

_RANGE = re.compile(r"bytes=(\d+)-")


def a_lora(seed: int, size: int = 200_000) -> bytes:
    """Return a whole safetensors file whose one tensor holds so many bytes."""
    told = {"lora_unet.weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    header = json.dumps(told).encode()
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)


@dataclass
class LoraDownload:
    """A file, and how it is given out."""

    data: bytes
    etag: str | None = '"one"'
    knows_ranges: bool = True
    tells_length: bool = True
    most_at_once: int | None = None
    """How much of a file it gives at most to one who asks for the rest of it."""
    media_type: str = "application/octet-stream"
    status: int = 200
    redirect: str | None = None
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each of the next answers is cut off."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Every answer waits until this is set; it is, unless a test clears it."""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    """The headers of each request, by lower-case names."""

    def __post_init__(self) -> None:
        self.hold.set()

    @property
    def starts(self) -> list[int]:
        """From where on each request wanted the file."""
        wanted = (_RANGE.fullmatch(each.get("range", "")) for each in self.asked)
        return [int(found[1]) if found else 0 for found in wanted]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Give it out to one who asks."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(headers)
        self.hold.wait()
        if self.redirect is not None:
            handler.send_response(307)
            handler.send_header("Location", self.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        self._send(handler, self._start(headers))

    def _start(self, headers: Mapping[str, str]) -> int:
        wanted = _RANGE.fullmatch(headers.get("range", ""))
        same = headers.get("if-range") in {None, self.etag}
        return int(wanted[1]) if wanted and same and self.knows_ranges else 0

    def _send(self, handler: BaseHTTPRequestHandler, start: int) -> None:
        whole = len(self.data)
        data = self.data[start : start + (self.most_at_once or whole) if start else whole]
        if start and not data:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{whole}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else self.status)
        handler.send_header("Content-Type", self.media_type)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{whole}")
        if self.etag is not None:
            handler.send_header("ETag", self.etag)
        if self.tells_length:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(data)
        handler.wfile.write(data[:cut])
        handler.close_connection = True


def publish(
    server: CivitaiServer,
    version_id: int,
    *,
    data: bytes | None = None,
    sha256: str | None = "",
    size_kb: float | None = None,
    name: str = "lora.safetensors",
    words: tuple[str, ...] = (),
    **how: Any,
) -> tuple[Any, LoraDownload]:
    """Give out a version's file; return the version as it stands in a model, and the download.

    :param sha256: what is told of the file's digest: empty for the truth, None for nothing.
    """
    download = LoraDownload(a_lora(version_id) if data is None else data, **how)
    server.downloads[version_id] = download
    version = a_version(version_id, "SD 1.5", words)
    digest = hashlib.sha256(download.data).hexdigest().upper() if sha256 == "" else sha256
    version["files"][1] |= {
        "name": name,
        "sizeKB": len(download.data) / 1024 if size_kb is None else size_kb,
        "hashes": {} if digest is None else {"SHA256": digest},
        "downloadUrl": server.download_url(version_id),
    }
    return version, download
