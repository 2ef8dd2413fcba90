"""The catalogue of return codes: what it takes, how a refusal fills its message."""

from __future__ import annotations

import json

import pytest

from domain.return_codes import (
    RETURN_CODES,
    Refused,
    ReturnCode,
    filled,
    placeholders_of,
    return_codes_from,
)
from tests.paths import ROOT

ENTRY = """
[Broken]
status = 400
message = "It is broken."
when = "Something breaks."
advice = "Mend it."
"""


def test_an_entry_is_read() -> None:
    code = return_codes_from(ENTRY + 'detailed = "{count} of it are broken."\n')["Broken"]
    assert (code.name, code.status, code.message) == ("Broken", 400, "It is broken.")
    assert (code.when, code.advice) == ("Something breaks.", "Mend it.")
    assert code.placeholders == {"count"}
    assert code.may_be_raised


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[Broken]", "[broken]"),
        ("[Broken]", '["Broken it"]'),
        ("status = 400", "status = 200"),
        ("status = 400", "status = 600"),
        ("status = 400\n", ""),
        ('"Mend it."', '" "'),
        ('"It is broken."', '"{count} of it are broken."'),
        ('"It is broken."', '"It { is broken."'),
        ('"Mend it."', '"Mend it."\ndetailed = "It is broken."'),
        ('"Mend it."', '"Mend it."\ndetailed = "{count.real} of it are broken."'),
        ('"Mend it."', '"Mend it."\ncolour = "red"'),
        ("[Broken]", "[Broken"),
    ],
)
def test_a_wrong_entry_is_refused(before: str, after: str) -> None:
    assert before in ENTRY
    with pytest.raises(ValueError, match=r".+"):
        return_codes_from(ENTRY.replace(before, after))


def test_details_fill_the_message() -> None:
    assert Refused("KudosUpfront", kudos=12.5).message == (
        "A request of this size needs 12.5 kudos up front, and the account has fewer."
    )


def test_without_all_details_the_message_reads_well() -> None:
    refusal = Refused("TooManyPrompts", waiting=30)
    assert refusal.message == RETURN_CODES["TooManyPrompts"].message


def test_a_message_of_its_own_wins() -> None:
    refusal = Refused("BadRequest", "seed: say which was used", {"seed": "is missing"})
    assert refusal.message == refusal.own_message == "seed: say which was used"
    assert refusal.errors == {"seed": "is missing"}


@pytest.mark.parametrize("name", ["Unheard", "TeamNotFound", "Profanity", ""])
def test_what_is_unknown_or_only_kept_cannot_be_raised(name: str) -> None:
    with pytest.raises(KeyError):
        Refused(name)


@pytest.mark.parametrize(
    ("figure", "written"), [(12, "12"), (12.0, "12"), (12.50, "12.5"), (0.126, "0.13"), ("x", "x")]
)
def test_figures_are_written_as_they_are_spoken_of(figure: object, written: str) -> None:
    assert filled("", "{count} left", {"count": figure}) == f"{written} left"


@pytest.mark.parametrize("text", ["{0.name}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{", "}"])
def test_only_plain_names_are_placeholders(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        placeholders_of(text)


def test_workers_know_these_by_their_words() -> None:
    job = Refused("InvalidJobID", id="5").message
    assert "Processing Job with ID 5 does not exist" in job
    assert job.startswith("Processing Job with ID")
    assert "already submitted" in Refused("DuplicateGen").message
    assert "Please check your worker speed" in Refused("AbortedGen").message


def test_names_and_statuses_are_those_of_the_horde() -> None:
    """The sample holds the codes of AI Horde 5.1.5 by what becomes of them here, and by status."""
    horde = json.loads(
        (ROOT / "tests" / "samples" / "v2_return_codes.json").read_text(encoding="utf-8")
    )
    expected = {
        name: (kind, int(status))
        for kind, by_status in horde.items()
        for status, names in by_status.items()
        for name in names
    }
    assert len(expected) == 162
    here = {code.name: (_kind(code), code.status) for code in RETURN_CODES.values()}
    assert {name: here.get(name) for name in expected} == expected


def _kind(code: ReturnCode) -> str:
    if code.reserved:
        return "reserved"
    return "base" if code.base else "met"
