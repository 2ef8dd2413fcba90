"""The catalogue of models: what ships with Hoard, and what the operator adds to it."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from domain.images.sampling import SAMPLERS
from domain.models.catalogue import Baseline, ModelEntry, ModelFile, ModelStyle, OptimalSettings
from infrastructure.settings.environment import SettingsInvalid
from infrastructure.settings.watched_file import WatchedFile

OPERATORS_FILE = "models.toml"
"""Name of the operator's own catalogue in the data folder."""

_SHIPPED = "catalogue.toml"

_Own = Mapping[str, ModelEntry]


class CatalogueInvalid(SettingsInvalid):
    """A catalogue is not valid; the message says what is wrong, line by line."""


def _a_file_name(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise ValueError("must be the name of a file, without any folder")
    return name


def _an_https_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be an https address")
    return url


def _a_sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError("is none of the samplers of the v2 API")
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _File(_Table):
    name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_a_file_name)]
    url: Annotated[str, AfterValidator(_an_https_address)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)] | None = (
        None
    )
    type: Annotated[str, Field(min_length=1)] = "checkpoint"


class _Optimal(_Table):
    steps_min: int | None = None
    steps_max: int | None = None
    cfg_min: float | None = None
    cfg_max: float | None = None
    samplers: tuple[Annotated[str, AfterValidator(_a_sampler)], ...] = ()
    schedulers: tuple[str, ...] = ()
    clip_skip: int | None = None


class _Model(_Table):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    baseline: Baseline
    style: ModelStyle = ModelStyle.GENERALIST
    nsfw: bool = False
    requires_source: bool = False
    description: str = ""
    optimal: _Optimal = _Optimal()
    files: tuple[_File, ...] = ()


class _Catalogue(_Table):
    model: tuple[_Model, ...] = ()


def models_from(text: str) -> Mapping[str, ModelEntry]:
    """Read a catalogue, keeping its order.

    :raises CatalogueInvalid: when it is not valid.
    """
    try:
        given = _Catalogue.model_validate(tomllib.loads(text))
        entries = [_entry(model) for model in given.model]
    except ValidationError as error:
        raise CatalogueInvalid("\n".join(_complaints(error))) from None
    except ValueError as error:
        raise CatalogueInvalid(str(error)) from None
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CatalogueInvalid(f"more than once in it: {', '.join(twice)}")
    return dict(zip(names, entries, strict=True))


def _entry(model: _Model) -> ModelEntry:
    try:
        optimal = OptimalSettings(**dict(model.optimal))
    except ValueError as error:
        raise ValueError(f"{model.name}: optimal: {error}") from None
    return ModelEntry(
        name=model.name,
        baseline=model.baseline,
        style=model.style,
        nsfw=model.nsfw,
        requires_source=model.requires_source,
        description=model.description,
        optimal=optimal,
        files=tuple(ModelFile(**dict(file)) for file in model.files),
    )


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, detail['loc']))}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False)
    ]


@cache
def shipped_models() -> Mapping[str, ModelEntry]:
    """Return the models that Hoard knows by itself."""
    text = files("infrastructure.models").joinpath(_SHIPPED).read_text(encoding="utf-8")
    return MappingProxyType(models_from(text))


class ModelCatalogue:
    """The models by name: the shipped ones, and the operator's, which win where names meet."""

    def __init__(self, shipped: Mapping[str, ModelEntry], own: WatchedFile[_Own]) -> None:
        """Combine the shipped models with a file of the operator's."""
        self._shipped = shipped
        self._own = own
        self._joined: tuple[_Own, Mapping[str, ModelEntry]] = ({}, shipped)

    @classmethod
    def in_folder(cls, data: Path) -> ModelCatalogue:
        """Return the catalogue of the installation in this data folder.

        :raises CatalogueInvalid: when the operator's file is not valid.
        """
        own = WatchedFile[_Own](data / OPERATORS_FILE, models_from, empty={})
        try:
            own.load()
        except ValueError as error:
            raise CatalogueInvalid(f"{own.path}: {error}") from None
        return cls(shipped_models(), own)

    def entry(self, name: str) -> ModelEntry | None:
        """Return what is known of the model of exactly this name."""
        return self._entries().get(name)

    def names(self) -> Collection[str]:
        """Return the names of all models, in the catalogue's order."""
        return self._entries().keys()

    def entries(self) -> Sequence[ModelEntry]:
        """Return all models, in the catalogue's order."""
        return list(self._entries().values())

    def is_own(self, name: str) -> bool:
        """Whether the operator added, or changed, the model of this name."""
        return name in self._own.content()

    def _entries(self) -> Mapping[str, ModelEntry]:
        own = self._own.content()
        known, joined = self._joined
        if known is not own:
            joined = {**self._shipped, **own}
            self._joined = (own, joined)
        return joined


Fields = Mapping[str, str | bool]


def add_model(path: Path, fields: Fields, files: Sequence[Fields]) -> ModelEntry:
    """Add a model at the end of a catalogue, which is made if need be.

    Concurrent readers see the old file or the new one.

    :param fields: of the model, as the catalogue names them.
    :param files: the fields of each of its files.
    :raises CatalogueInvalid: when the catalogue would not be valid, such as with a model that
        is in it already; it stays unchanged.
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
    # A JSON string with unescaped non-ASCII letters is a TOML string, too.
    return json.dumps(value, ensure_ascii=False)
