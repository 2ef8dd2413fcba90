from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel

from infrastructure.logs.redaction import REDACTED, is_private, redact


def redacted(**entry: object) -> dict[str, object]:
    return dict(redact(None, "info", entry))


@dataclass
class Described:
    prompt: str = "a red circle"
    width: int = 512


class Asked(BaseModel):
    apikey: str = "a key"
    n: int = 20
    made: Described = field(default_factory=Described)


@pytest.mark.parametrize(
    "name",
    [
        "prompt",
        "negative_prompt",
        "promptText",
        "apikey",
        "Apikey",
        "api_key",
        "X-API-Key",
        "key",
        "shared_keys",
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "client_secret",
        "password",
        "upload_token",
        "source_image",
        "sourceImage",
        "source_mask",
        "client",
        "client_address",
        "addresses",
        "remote_addr",
        "ip",
        "webhook",
        "img",
        "generations",
    ],
)
def test_what_is_somebodys_is_private(name: str) -> None:
    assert is_private(name)
    assert redacted(**{name: "somebody's"}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name",
    ["event", "path", "job", "worker", "keyword", "monkey", "zip", "images", "pixels", "account"],
)
def test_what_an_operator_needs_is_kept(name: str) -> None:
    assert not is_private(name)
    assert redacted(**{name: "said"}) == {name: "said"}


NESTINGS: list[Callable[[object], object]] = [
    lambda inner: {"payload": inner},
    lambda inner: [inner],
    lambda inner: (0, inner, 1),
    lambda inner: {"a": [{"b": (inner, inner)}]},
]


@pytest.mark.parametrize("nest", NESTINGS)
def test_nothing_private_hides_in_a_nesting(nest: Callable[[object], object]) -> None:
    for inner in (
        {"prompt": "a red circle"},
        Described(),
        Asked(),
        [(b"apikey", b"a red circle")],
        [("Apikey", "a red circle")],
    ):
        shown = str(redacted(what=nest(inner)))
        assert "red circle" not in shown
        assert "a key" not in shown
        assert REDACTED in shown


def test_the_rest_of_a_nesting_is_kept() -> None:
    assert redacted(job=Asked()) == {
        "job": {"apikey": REDACTED, "n": 20, "made": {"prompt": REDACTED, "width": 512}}
    }


def test_an_object_nobody_described_shows_its_type_only() -> None:
    class Telling:
        def __repr__(self) -> str:
            return "a red circle"

    assert "red circle" not in str(redacted(thing=Telling(), things={Telling()}))
    assert "Telling" in str(redacted(thing=Telling()))


def test_plain_values_pass_unchanged() -> None:
    values = {"a": 1, "b": 0.5, "c": None, "d": True, "e": UUID(int=7), "f": Path("/srv")}
    assert redacted(**values) == values


def test_bytes_show_their_length_only() -> None:
    assert redacted(body=b"12345") == {"body": "<5 bytes>"}


def test_a_structure_that_holds_itself_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "too deep" in str(redacted(what=endless))
