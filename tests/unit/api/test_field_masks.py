"""Masks of fields: what the header ``X-Fields`` may say, and what is left of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.field_masks import MaskUnreadable, mask_from, masked

WORKER: dict[str, Any] = {
    "id": "w",
    "name": "one",
    "models": ["a", "b"],
    "team": {"id": None, "name": None},
    "kudos_details": {"generated": 5, "uptime": 7},
    "jobs": [{"id": 1, "state": "ok", "size": {"w": 1, "h": 2}}, {"id": 2, "state": "faulted"}],
}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("id", {"id": "w"}),
        ("{id}", {"id": "w"}),
        (" { id , name } ", {"id": "w", "name": "one"}),
        ("name,id", {"name": "one", "id": "w"}),
        ("models", {"models": ["a", "b"]}),
        ("id,nothing", {"id": "w"}),
        ("nothing", {}),
        ("team{name}", {"team": {"name": None}}),
        ("kudos_details{uptime},id", {"kudos_details": {"uptime": 7}, "id": "w"}),
        ("jobs{id}", {"jobs": [{"id": 1}, {"id": 2}]}),
        (
            "{jobs{size{h},state}}",
            {"jobs": [{"size": {"h": 2}, "state": "ok"}, {"state": "faulted"}]},
        ),
        ("id{x}", {"id": "w"}),
        ("models{x}", {"models": ["a", "b"]}),
        ("*", WORKER),
        ("*,jobs{id}", {**WORKER, "jobs": [{"id": 1}, {"id": 2}]}),
        ("team{*}", {"team": {"id": None, "name": None}}),
        ("", WORKER),
        ("{}", {}),
    ],
)
def test_what_is_left(text: str, left: dict[str, Any]) -> None:
    assert masked(WORKER, mask_from(text)) == left


def test_every_part_of_a_list_is_masked() -> None:
    assert masked([WORKER, {"id": "v"}], mask_from("id")) == [{"id": "w"}, {"id": "v"}]


@pytest.mark.parametrize("value", [None, 5, "text", [], [1, None]])
def test_what_has_no_fields_stays(value: object) -> None:
    assert masked(value, mask_from("id")) == value


@pytest.mark.parametrize(
    "text",
    [
        "{id",
        "id}",
        "id,,name",
        ",id",
        "{,}",
        "id name",
        "{{id}}",
        "a{b}c",
        "a{b",
        "a}b{",
        "id;name",
        "a{b,}x",
        "é",
        "a" + "{a" * 100 + "}" * 100,
    ],
)
def test_what_is_no_mask(text: str) -> None:
    with pytest.raises(MaskUnreadable):
        mask_from(text)


@given(text=st.text(alphabet="ab{},* \t-:", max_size=30))
def test_any_text_is_a_mask_or_none(text: str) -> None:
    try:
        mask = mask_from(text)
    except MaskUnreadable:
        return
    assert masked({"c": 1}, mask) in ({}, {"c": 1})
