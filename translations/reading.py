"""Reading the files of translations.

A file is called after its language's tag (BCP 47: ``de.toml``, ``pt-BR.toml``). It names its
language in that language, and has one table for each return code, as the catalogue has. Whatever
lies in the folder is served: a language is added without touching code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from domain.return_codes import filled, placeholders_of

_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """The texts of one return code in one language."""

    message: str
    """As the catalogue's message."""
    advice: str
    """As the catalogue's advice."""
    english: str
    """What was translated; where the catalogue says something else now, this is out of date."""
    detailed: str = ""
    """As the catalogue's detailed message, with the same placeholders; empty where that is."""

    def message_for(self, details: Mapping[str, object]) -> str:
        """Return the message for a case."""
        return filled(self.message, self.detailed, details)


@dataclass(frozen=True, slots=True)
class Translation:
    """One language."""

    tag: str
    """Its tag, such as ``de``."""
    language: str
    """Its name in itself, such as ``Deutsch``."""
    entries: Mapping[str, Translated]
    """The texts by return code. A code that is not translated yet is not there."""


def translation_from(tag: str, text: str) -> Translation:
    """Read one file. A code whose message is still empty counts as not translated.

    :raises ValueError: saying what is wrong with it.
    """
    fields = tomllib.loads(text)
    language = fields.pop("language", None)
    if not isinstance(language, str) or not language.strip():
        raise ValueError(f"{tag}: says no language")
    entries = {
        name: _translated(tag, name, given)
        for name, given in fields.items()
        if given.get("message") != ""
    }
    return Translation(tag, language, MappingProxyType(entries))


def _translated(tag: str, name: str, given: Mapping[str, str]) -> Translated:
    try:
        entry = Translated(**given)
        for plain in (entry.message, entry.advice):
            if not plain.strip() or placeholders_of(plain):
                raise ValueError(f"a text is empty or has placeholders: {plain!r}")
        placeholders_of(entry.detailed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{tag}, {name}: {error}") from None
    return entry


@cache
def shipped() -> Mapping[str, Translation]:
    """Return every translation in the folder, by its tag.

    :raises ValueError: when one of the files is not valid.
    """
    found = (file for file in files("translations").iterdir() if file.name.endswith(_SUFFIX))
    texts = {
        file.name.removesuffix(_SUFFIX): file.read_text(encoding="utf-8")
        for file in sorted(found, key=lambda file: file.name)
    }
    return MappingProxyType({tag: translation_from(tag, text) for tag, text in texts.items()})
