"""Translations: what is shipped fits the catalogue, and a language needs no code."""

from __future__ import annotations

import pytest

import translations
from domain.return_codes import RETURN_CODES, placeholders_of
from translations import Translated, Translation, coverage_of, english_of, translation_from, written

FILE = """
language = "Nederlands"

[Locked]
english = "Other changes came first; please try again. | Try again; nothing was changed."
message = "Anderen waren telkens sneller; probeer het nog eens."
advice = "Probeer het nog eens; er is niets veranderd."
"""

TAGS = ["de", "es", "fr", "ja", "zh"]


def test_the_languages_that_are_shipped() -> None:
    assert set(translations.shipped()) >= set(TAGS)


@pytest.mark.parametrize("tag", translations.shipped())
def test_every_translation_fits_the_catalogue(tag: str) -> None:
    translation = translations.shipped()[tag]
    found = coverage_of(translation)
    assert found.unknown == []
    assert found.stale == []
    for name, entry in translation.entries.items():
        code = RETURN_CODES[name]
        assert bool(entry.detailed) == bool(code.detailed), name
        assert placeholders_of(entry.detailed) == code.placeholders, name


@pytest.mark.parametrize("tag", TAGS)
def test_the_shipped_languages_are_whole(tag: str) -> None:
    found = coverage_of(translations.shipped()[tag])
    assert found.missing == []
    assert found.translated == found.of


@pytest.mark.parametrize("tag", TAGS)
def test_nothing_was_left_in_english(tag: str) -> None:
    for name, entry in translations.shipped()[tag].entries.items():
        assert entry.message != RETURN_CODES[name].message, name
        assert entry.advice != RETURN_CODES[name].advice, name


def test_a_file_is_read() -> None:
    translation = translation_from("nl", FILE)
    assert (translation.tag, translation.language) == ("nl", "Nederlands")
    assert translation.entries["Locked"].message_for({}).startswith("Anderen")


def test_a_file_is_written_as_it_was_read_with_what_is_missing() -> None:
    translation = translation_from("nl", FILE)
    text = written(translation)
    assert "[MissingPrompt]" in text
    assert "[TeamNotFound]" not in text
    assert translation_from("nl", text) == translation


def test_quotes_and_backslashes_survive_writing() -> None:
    entry = Translated(message='"a" \\ b', advice="c", english=english_of(RETURN_CODES["Locked"]))
    translation = Translation("nl", "Nederlands", {"Locked": entry})
    assert translation_from("nl", written(translation)) == translation


def test_what_is_missing_stale_or_unknown_is_found() -> None:
    text = FILE.replace("came first", "always")
    text += '[TeamNotFound]\nenglish = "x"\nmessage = "y"\nadvice = "z"\n'
    found = coverage_of(translation_from("nl", text))
    assert found.stale == ["Locked"]
    assert found.unknown == ["TeamNotFound"]
    assert "MissingPrompt" in found.missing
    assert found.translated == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('language = "Nederlands"', ""),
        ("message", "detailed"),
        ('"Probeer het nog eens; er is niets veranderd."', '""'),
        ("Anderen waren", "{count} anderen waren"),
        ("[Locked]", "[Locked]\ncolour = 'red'"),
        ("[Locked]", "[Locked]\ndetailed = '{count.real}'"),
        ("[Locked]", "[Locked"),
    ],
)
def test_a_wrong_file_is_refused(before: str, after: str) -> None:
    assert before in FILE
    with pytest.raises(ValueError, match=r".+"):
        translation_from("nl", FILE.replace(before, after))
