"""CivitAI's metadata of LoRAs: the exact version of a name or an id, and where its file is.

Only what this needs of the answers is read (`developer.civitai.com`, site reference, "Models" and
"Model versions"); the rest may change without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

import httpx
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from domain.models.loras import Lora, ResolvedLora, is_civitai_id
from workers.models.lora_versions import (
    MetadataAway,
    MetadataUnavailable,
    MetadataUnusable,
    PublishedLora,
)

LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that are read at most; a search with its pictures' addresses is large."""

_ATTEMPTS = 2
_LORA_TYPES = frozenset({"lora", "locon", "dora"})
_FIRST_SERVER_ERROR = 500
_MOST_TRIGGER_WORDS = 50


class _Part(BaseModel):
    """A part of an answer; null is read as absent, in a list, too."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: [each for each in field if each is not None] if isinstance(field, list) else field
            for name, field in value.items()
            if field is not None
        }


class _Hashes(_Part):
    sha256: str | None = Field(default=None, alias="SHA256")


class _File(_Part):
    name: str = ""
    primary: bool = False
    type: str = ""
    size_kb: float | None = Field(default=None, alias="sizeKB", ge=0, allow_inf_nan=False)
    hashes: _Hashes = _Hashes()
    download_url: str | None = Field(default=None, alias="downloadUrl")


class _Version(_Part):
    id: int
    base_model: str = Field(default="", alias="baseModel")
    trained_words: tuple[str, ...] = Field(default=(), alias="trainedWords")
    files: tuple[_File, ...] = ()
    download_url: str | None = Field(default=None, alias="downloadUrl")

    @property
    def file(self) -> _File | None:
        """The file that a worker fetches."""
        return next((file for file in self.files if file.primary), None) or next(
            (file for file in self.files if file.type in {"", "Model"}), None
        )

    @property
    def sha256(self) -> str | None:
        """SHA-256 of that file."""
        digest = self.file.hashes.sha256 if self.file else None
        return digest.lower() if digest else None


def _first(versions: Any) -> Any:
    """Return the latest version, which comes first; older ones are not read."""
    return next(iter(versions), None) if isinstance(versions, list) else versions


class _Model(_Part):
    id: int
    name: str = ""
    type: str = ""
    nsfw: bool = False
    latest: Annotated[_Version | None, BeforeValidator(_first)] = Field(
        default=None, alias="modelVersions"
    )

    @property
    def is_lora(self) -> bool:
        """Whether it is a LoRA of some kind, and has a version at all."""
        return self.type.lower() in _LORA_TYPES and self.latest is not None


class _Named(_Part):
    """As much of a model as a search compares."""

    name: str = ""


class _Found(_Part):
    items: tuple[Any, ...] = ()
    """Models, each read by itself: one that cannot be read hides no other."""


class _ModelOfVersion(_Part):
    name: str = ""
    type: str = ""
    nsfw: bool = False


class _VersionAlone(_Version):
    model_id: int = Field(alias="modelId")
    model: _ModelOfVersion


@dataclass(frozen=True, slots=True)
class _ModelVersion:
    """A version, and the model that it is one of."""

    model_id: int
    name: str
    nsfw: bool
    version: _Version


Part = TypeVar("Part", bound=_Part)


class Civitai:
    """Asks CivitAI, or a mirror of it."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ):
        """Ask the API at this address.

        :param url: what all its addresses start with, such as ``https://civitai.com/api/v1``.
        :param timeout: seconds for each step of an answer.
        :param token: an API key, sent to that server only.
        """
        headers = {"user-agent": "Hoard (LoRA versions)", "accept": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._client = httpx.Client(
            base_url=url, timeout=timeout, transport=transport, headers=headers
        )

    def __enter__(self) -> Self:
        """Use it within a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the block's end."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find(self, lora: Lora) -> ResolvedLora | None:
        """Return the version that a LoRA means just now; None when there is no such LoRA.

        A name means the model that is called exactly so, whatever the case of its letters.

        :raises MetadataUnavailable: when it does not answer, or not usably.
        """
        found = self._found_version(lora)
        return None if found is None else _resolved(found)

    def published(self, lora: Lora) -> PublishedLora | None:
        """Return the version that a LoRA means just now, and where its file lies.

        None when there is no such LoRA, or no file of it.

        :raises MetadataUnavailable: when it does not answer, or not usably.
        """
        found = self._found_version(lora)
        return None if found is None else _published(found)

    def _found_version(self, lora: Lora) -> _ModelVersion | None:
        if lora.is_version:
            return self._exact_version(lora.name)
        if is_civitai_id(lora.name):
            return self._latest_of(lora.name)
        return self._latest_called(lora.name)

    def _exact_version(self, version_id: str) -> _ModelVersion | None:
        answer = self._get(f"/model-versions/{version_id}")
        version = None if answer is None else _read(_VersionAlone, answer)
        if version is None or version.model.type.lower() not in _LORA_TYPES:
            return None
        return _ModelVersion(version.model_id, version.model.name, version.model.nsfw, version)

    def _latest_of(self, model_id: str) -> _ModelVersion | None:
        answer = self._get(f"/models/{model_id}")
        return None if answer is None else _latest(_read(_Model, answer))

    def _latest_called(self, name: str) -> _ModelVersion | None:
        query = {"query": name.strip(), "types": "LORA", "nsfw": "true", "limit": "20"}
        answer = self._get("/models", query)
        found = _Found() if answer is None else _read(_Found, answer)
        wanted = name.strip().casefold()
        called_so = (item for item in found.items if _name_of(item).strip().casefold() == wanted)
        models = (_validated(_Model, item) for item in called_so)
        return next((_latest(model) for model in models if model.is_lora), None)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        """Return an answer's body, None when there is no such thing.

        :raises MetadataAway: when there was no answer in each of two attempts, or 429.
        :raises MetadataUnusable: when there was an error.
        """
        failure: MetadataUnavailable = MetadataAway("no attempt")
        for _ in range(_ATTEMPTS):
            try:
                with self._client.stream("GET", path, params=query) as answer:
                    if answer.status_code == httpx.codes.NOT_FOUND:
                        return None
                    if answer.is_success:
                        return _body(answer)
                    reason = f"status {answer.status_code}"
                    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                        raise MetadataAway(reason)
                    failure = MetadataUnusable(reason)
                    if answer.status_code < _FIRST_SERVER_ERROR:
                        break
            except httpx.HTTPError as error:
                failure = MetadataAway(type(error).__name__)
        raise failure


def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise MetadataUnusable("the answer is too large")
    return bytes(body)


def _read(kind: type[Part], answer: bytes) -> Part:
    try:
        content = from_json(answer)
    except ValueError:
        raise MetadataUnusable("the answer is no JSON") from None
    return _validated(kind, content)


def _validated(kind: type[Part], content: Any) -> Part:
    try:
        return kind.model_validate(content)
    except ValidationError:
        raise MetadataUnusable("the answer is not what the reference says") from None


def _name_of(item: Any) -> str:
    try:
        return _Named.model_validate(item).name
    except ValidationError:
        return ""


def _latest(model: _Model) -> _ModelVersion | None:
    if not model.is_lora or model.latest is None:
        return None
    return _ModelVersion(model.id, model.name, model.nsfw, model.latest)


def _resolved(found: _ModelVersion) -> ResolvedLora:
    version = found.version
    return ResolvedLora(
        model_id=str(found.model_id),
        version_id=str(version.id),
        name=found.name,
        sha256=version.sha256,
        base_model=version.base_model,
        trigger_words=version.trained_words[:_MOST_TRIGGER_WORDS],
        nsfw=found.nsfw,
    )


def _published(found: _ModelVersion) -> PublishedLora | None:
    version, file = found.version, found.version.file
    # The version's own address is that of its primary file.
    url = None if file is None else file.download_url or version.download_url
    if file is None or not url:
        return None
    return PublishedLora(
        model_id=str(found.model_id),
        version_id=str(version.id),
        name=found.name,
        url=url,
        file_name=file.name,
        size_bytes=None if file.size_kb is None else int(file.size_kb * 1024),
        sha256=version.sha256,
        base_model=version.base_model,
        trigger_words=version.trained_words[:_MOST_TRIGGER_WORDS],
    )
