"""Writing into the operator's own catalogue, keeping all that stands there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from domain.models.catalogue import ModelEntry
from infrastructure.models.catalogue import models_from

Fields = Mapping[str, str | bool]


def add_model(path: Path, fields: Fields, files: Sequence[Fields]) -> ModelEntry:
    """Add a model at the end of a catalogue, which is made if need be.

    Whoever reads the file meanwhile reads the old one or the new one, never half.

    :param fields: of the model, as the catalogue names them.
    :param files: the fields of each of its files.
    :raises CatalogueInvalid: when the catalogue would not be valid, because the model stands in it
        already for one; it stays as it was.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    added = _table("model", fields) + "".join(_table("model.files", file) for file in files)
    after = f"{before.rstrip()}\n\n{added}".lstrip("\n")
    entry = models_from(after)[str(fields["name"])]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(after)
    os.chmod(file.name, path.stat().st_mode if path.exists() else 0o644)
    os.replace(file.name, path)
    return entry


def _table(name: str, fields: Fields) -> str:
    lines = [f"{field} = {_value(value)}" for field, value in fields.items()]
    return "\n".join([f"[[{name}]]", *lines, "", ""])


def _value(value: str | bool) -> str:
    # A string of JSON that spells out no letters is one of TOML, too.
    return json.dumps(value, ensure_ascii=False)
