"""PNG chunks beside the image that are too heavy to be read (PNG specification, 11.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
"""What a PNG starts with."""

_MOST_BYTES = 1024 * 1024
"""Of a chunk, decompressed. Pillow refuses the whole file beyond that."""

_AROUND = 12
"""Bytes of a chunk beside its content: length, type and checksum."""


def without_heavy_chunks(file: bytes) -> bytes:
    """Return a file; if it is a PNG, without texts and profiles above 1 MiB.

    Programs keep whole workflows there. They say nothing of the image, so they are no reason to
    refuse it.
    """
    if not file.startswith(PNG):
        return file
    kept, dropped = [PNG], False
    for chunk in _chunks(file):
        if _is_heavy(chunk):
            dropped = True
        else:
            kept.append(chunk)
    return b"".join(kept) if dropped else file


def _chunks(png: bytes) -> Iterator[bytes]:
    at = len(PNG)
    while at < len(png):
        end = at + _AROUND + int.from_bytes(png[at : at + 4], "big")
        yield png[at:end]
        at = end


def _is_heavy(chunk: bytes) -> bool:
    kind, content = chunk[4:8], chunk[8:-4]
    if kind in {b"zTXt", b"iCCP"}:
        # A name, a zero, the method, then what is compressed.
        return _inflates_too_far(content.partition(b"\0")[2][1:])
    if kind == b"iTXt":
        flags = content.partition(b"\0")[2]
        is_compressed = flags[:1] == b"\1"
        text = flags[2:].partition(b"\0")[2].partition(b"\0")[2]
        return _inflates_too_far(text) if is_compressed else len(text) > _MOST_BYTES
    return kind == b"tEXt" and len(content) > _MOST_BYTES


def _inflates_too_far(compressed: bytes) -> bool:
    """Whether it is too large, or cannot be decompressed; no more than needed is."""
    try:
        return len(zlib.decompressobj().decompress(compressed, _MOST_BYTES + 1)) > _MOST_BYTES
    except zlib.error:
        return True
