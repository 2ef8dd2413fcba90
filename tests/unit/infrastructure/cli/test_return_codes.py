"""``hoard return-codes``, and the pages of the documentation that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import translations
from domain.return_codes import RETURN_CODES
from infrastructure.cli.app import run
from infrastructure.cli.return_codes.pages import left_out_page, return_codes_page
from tests.paths import ROOT

DOCS = ROOT / "docs" / "reference"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was written as JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_documentation_is_up_to_date() -> None:
    hint = "run `hoard return-codes docs`"
    written = (DOCS / "return-codes.md").read_text(encoding="utf-8")
    assert written == return_codes_page(translations.shipped()), hint
    assert (DOCS / "left-out.md").read_text(encoding="utf-8") == left_out_page(), hint


def test_docs_writes_both_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "docs", str(tmp_path)]) == 0
    assert (tmp_path / "return-codes.md").read_text(encoding="utf-8").count("`InvalidSize`") == 1
    assert "`NotServed`" in (tmp_path / "left-out.md").read_text(encoding="utf-8")
    assert "2 pages" in capsys.readouterr().err


def test_list_leaves_out_what_is_only_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "list"]) == 0
    said = capsys.readouterr().out
    assert "KudosUpfront" in said
    assert "TeamNotFound" not in said


def test_list_as_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "list", "--all", "--json"]) == 0
    listed = lines(capsys)
    assert [each["rc"] for each in listed] == list(RETURN_CODES)
    assert {"message", "when", "advice", "status", "reserved", "base"} <= listed[0].keys()


def test_list_in_another_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "list", "--language", "de", "--json"]) == 0
    by_name = {each["rc"]: each for each in lines(capsys)}
    assert by_name["Forbidden"]["message"] == "Das ist nicht erlaubt."


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "show", "kudosupfront"]) == 0
    said = capsys.readouterr().out
    assert "KudosUpfront  403" in said
    assert "{kudos}" in said
    assert RETURN_CODES["KudosUpfront"].advice in said


def test_show_says_what_is_only_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "show", "TeamNotFound"]) == 0
    assert "no error has it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "Unheard"],
        ["show", "Locked", "--language", "xx"],
        ["list", "--language", "xx"],
        ["template", "xx"],
        ["docs", "no/such/folder"],
    ],
)
def test_what_is_not_there(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", *arguments]) == 2
    assert "hoard:" in capsys.readouterr().err


def test_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "coverage", "--json"]) == 0
    by_tag = {each["language"]: each for each in lines(capsys)}
    assert by_tag["ja"]["translated"] == by_tag["ja"]["of"]
    assert by_tag["ja"]["missing"] == by_tag["ja"]["stale"] == by_tag["ja"]["unknown"] == []


def test_coverage_fails_when_a_translation_no_longer_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = translations.Translated(message="x", advice="y", english="what it once said")
    there = {"nl": translations.Translation("nl", "Nederlands", {"Locked": stale})}
    monkeypatch.setattr(translations, "shipped", lambda: there)
    assert run(["return-codes", "coverage"]) == 1
    assert "Locked" in capsys.readouterr().out


def test_a_template_of_a_new_language_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["return-codes", "template", "nl", "--name", "Nederlands"]) == 0
    started = translations.translation_from("nl", capsys.readouterr().out)
    assert started == translations.Translation("nl", "Nederlands", {})


@pytest.mark.parametrize("tag", translations.shipped())
def test_a_template_of_a_language_that_is_there_keeps_its_texts(
    tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["return-codes", "template", tag]) == 0
    kept = translations.translation_from(tag, capsys.readouterr().out)
    assert kept == translations.shipped()[tag]
