"""Which language a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import translations
from api.http.languages import ENGLISH, language_for, weighted


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("zh-Hant-TW", "zh"),
        ("de, fr", "de"),
        ("de;q=0.5, fr", "fr"),
        ("de;q=0.5, fr;q=0.5", "de"),
        ("fr;q=0.4, en;q=0.8", "en"),
        ("en-GB, de;q=0.9", "en"),
        ("xx, ja;q=0.1", "ja"),
        ("xx", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("de;q=0, es;q=0.1", "es"),
        ("de ; q = 0.1 , es;q=0.2", "es"),
        ("de;q=nan, es", "es"),
        ("de;q=2, es;q=0.1", "es"),
        ("de;level=1;q=0.1, es;q=0.2", "es"),
        ("-, ,;q=1", "en"),
    ],
)
def test_the_language_that_weighs_most_and_is_there(header: str | None, language: str) -> None:
    assert language_for(header) == language


@given(st.text(max_size=200))
def test_no_header_breaks_anything(header: str) -> None:
    assert language_for(header) in {ENGLISH, *translations.shipped()}
    assert all(0 <= weight <= 1 for weight in weighted(header).values())


def test_a_long_header_is_not_read_to_its_end() -> None:
    assert len(weighted(",".join(f"x{i}" for i in range(100_000)))) == 50
