"""The header of a safetensors file: which tensors it holds, read without reading them.

The format: eight bytes with the header's length, little-endian; a JSON object of that length; the
tensors' bytes (https://huggingface.co/docs/safetensors, "Format").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

LARGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

_LENGTH_BYTES = 8
_METADATA = "__metadata__"

Shapes = Mapping[str, tuple[int, ...]]
"""The tensors' shapes by their names."""


class NotSafetensors(Exception):
    """A file is not what its name says, or not all of it is there."""


def shapes_of(path: Path) -> Shapes:
    """Return the shapes of a file's tensors, having checked that the file is as long as it says.

    :raises NotSafetensors: when it is no whole safetensors file.
    :raises OSError: when it cannot be read.
    """
    with path.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(0)
        length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - _LENGTH_BYTES):
            raise NotSafetensors("it has no header of safetensors")
        header = opened.read(length)
    try:
        tensors = {
            name: (tuple(int(side) for side in told["shape"]), int(told["data_offsets"][1]))
            for name, told in json.loads(header).items()
            if name != _METADATA
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise NotSafetensors("its header cannot be read") from None
    end = max((end for _, end in tensors.values()), default=0)
    if size != _LENGTH_BYTES + length + end:
        raise NotSafetensors("it is longer or shorter than its header says")
    return {name: shape for name, (shape, _) in tensors.items()}
