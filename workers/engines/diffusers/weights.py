"""Which weights a pipeline folder holds, as one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workers.engines.protocol import EngineFailed
from workers.models.hashes import digest_of

_ENDINGS: Final = frozenset({".safetensors", ".sft"})


def weights_sha256(folder: Path, hash_of: Callable[[Path], str] = digest_of) -> str:
    """SHA-256 over the weights in ``folder``: 64 lower-case hexadecimal digits.

    It is that of one line for each file, sorted by name: the file's own SHA-256, two spaces and its
    path below the folder with slashes, as ``sha256sum`` writes them. So it can be checked by hand,
    and a folder that lies elsewhere or was copied has the same.

    :raises EngineFailed: when there are no weights, or they cannot be read.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix in _ENDINGS and path.is_file()
    }
    if not files:
        raise EngineFailed("the model folder holds no weights")
    try:
        lines = [f"{hash_of(path)}  {name}\n" for name, path in sorted(files.items())]
    except OSError as error:
        raise EngineFailed(f"the weights cannot be read: {type(error).__name__}") from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()
