"""The return codes: name, HTTP status, text and advice of each refusal.

The catalogue itself is data: ``return_codes.toml``, beside this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Formatter
from types import MappingProxyType


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names in braces.

    :raises ValueError: when a brace is left open, or holds anything but a plain name. Texts are
        data that contributors write: an attribute or a format in them is never carried out.
    """
    names = set()
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}} is no plain name in braces: {text!r}")
        names.add(name)
    return frozenset(names)


def filled(plain: str, detailed: str, details: Mapping[str, object]) -> str:
    """Return the text for a case: the detailed one when all that it names is known.

    :param plain: a text that reads well without details.
    :param detailed: the same with placeholders; empty when there is none.
    """
    if not detailed or not placeholders_of(detailed) <= details.keys():
        return plain
    return detailed.format_map({name: _written(detail) for name, detail in details.items()})


def _written(detail: object) -> str:
    """Write figures as they are spoken of: at most two decimals, and no zeros at their end."""
    if isinstance(detail, float):
        return f"{detail:.2f}".rstrip("0").rstrip(".")
    return str(detail)


_LOWEST_STATUS, _HIGHEST_STATUS = 400, 599


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCode:
    """One entry of the catalogue."""

    name: str
    """What clients compare with, for ever: the ``rc`` of an error body."""
    status: int
    """The HTTP status that goes with it, from 400 to 599."""
    message: str
    """The text for people when no details are known; it has no placeholders."""
    when: str
    """When this happens."""
    advice: str
    """What to do about it."""
    detailed: str = ""
    """The message with the details of the case, ``{named}`` in braces; empty when it has none."""
    reserved: bool = False
    """Whether the name is only kept for a feature that is not built."""
    base: bool = False
    """Whether it names a family of codes, of which only the members are raised."""

    def __post_init__(self) -> None:
        """Check the entry.

        :raises ValueError: saying what is wrong with it.
        """
        # The AI Horde ends four of its names with a full stop.
        if not self.name.removesuffix(".").isidentifier() or not self.name[0].isupper():
            raise ValueError(f"{self.name}: a name is one word with a capital letter")
        if not _LOWEST_STATUS <= self.status <= _HIGHEST_STATUS:
            raise ValueError(f"{self.name}: {self.status} is no HTTP status of an error")
        for text in (self.message, self.when, self.advice):
            if not text.strip() or placeholders_of(text):
                raise ValueError(f"{self.name}: a text is empty or has placeholders: {text!r}")
        if self.detailed and not self.placeholders:
            raise ValueError(f"{self.name}: the detailed message names no detail")

    @property
    def placeholders(self) -> frozenset[str]:
        """The details that its message can name."""
        return placeholders_of(self.detailed)

    @property
    def may_be_raised(self) -> bool:
        """Whether a client can meet it."""
        return not (self.reserved or self.base)


def return_codes_from(text: str) -> Mapping[str, ReturnCode]:
    """Read a catalogue, keeping its order.

    :raises ValueError: when it is not valid, saying where.
    """
    entries = {}
    for name, fields in tomllib.loads(text).items():
        try:
            entries[name] = ReturnCode(name=name, **fields)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None
    return MappingProxyType(entries)


RETURN_CODES: Mapping[str, ReturnCode] = return_codes_from(
    files("domain").joinpath("return_codes.toml").read_text(encoding="utf-8")
)
"""Every return code by name, the reserved ones among them."""


class Refused(Exception):
    """A command was refused; the return code says why in a word that programs can compare."""

    def __init__(
        self,
        name: str,
        message: str | None = None,
        errors: Mapping[str, str] | None = None,
        **details: object,
    ) -> None:
        """Refuse with the catalogue's code ``name``.

        :param message: the text for people instead of the catalogue's message, in English: for
            what only developers meet. It is never translated.
        :param errors: what is wrong, by field.
        :param details: what the catalogue's message and its translations name in braces. Without
            all of them the message that names none is used.
        :raises KeyError: when the catalogue lacks the code, or only keeps its name.
        """
        code = RETURN_CODES[name]
        if not code.may_be_raised:
            raise KeyError(f"{name} is a name that is only kept: nothing may raise it")
        self.code = code
        self.own_message = message or None
        """The message that was given, if one was."""
        self.details = details
        self.message = message or filled(code.message, code.detailed, details)
        """The text for people, in English."""
        self.errors = dict(errors or {})
        super().__init__(f"{name}: {self.message}")
