"""Forbidden words are found however they are dressed, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.content_filter import ForbiddenWords
from domain.names import contact_from, user_name_from, worker_info_from, worker_name_from
from domain.return_codes import Refused
from infrastructure.service.forbidden_words import WORDS_FILE, WordListFilter

WORDS = ForbiddenWords(["darn", "silly"])


@pytest.mark.parametrize(
    "text",
    [
        "darn",
        "DARN",
        "oh darn!",
        "d4rn",
        "d@rn it",
        "dàrn",
        "\uff44\uff41\uff52\uff4e",
        "the_darn_worker",
        "$1lly",
        "s!11y",
    ],
)
def test_is_found(text: str) -> None:
    assert WORDS.is_blocked(text)


@pytest.mark.parametrize(
    "text", ["", "darning", "endarn", "d a r n", "hello! world", "!!!", "日本"]
)
def test_is_not_found(text: str) -> None:
    assert not WORDS.is_blocked(text)


@pytest.mark.parametrize(
    ("check", "text", "code"),
    [
        (user_name_from, "n" * 31, "TooLongUserName"),
        (user_name_from, "darn", "ProfaneUserName"),
        (user_name_from, "some#body", "BadRequest"),
        (user_name_from, " \t", "BadRequest"),
        (user_name_from, "a\u202eb", "BadRequest"),
        (worker_name_from, "n" * 101, "TooLongWorkerName"),
        (worker_name_from, "a darn worker", "ProfaneWorkerName"),
        (worker_name_from, "", "BadRequest"),
        (contact_from, "darn@example.com", "ProfaneUserContact"),
        (contact_from, "c" * 501, "BadRequest"),
        (worker_info_from, "darn", "ProfaneWorkerInfo"),
        (worker_info_from, "i" * 1001, "BadRequest"),
    ],
)
def test_is_refused(check: object, text: str, code: str) -> None:
    assert callable(check)
    with pytest.raises(Refused) as refused:
        check(text, WORDS)
    assert refused.value.code.name == code


def test_names_lose_the_spaces_around_them() -> None:
    assert user_name_from(" somebody ", WORDS) == "somebody"
    assert worker_name_from(" a worker\n", WORDS) == "a worker"


def test_operators_add_words_of_their_own(tmp_path: Path) -> None:
    (tmp_path / WORDS_FILE).write_text("# ours\nfiddlesticks  # mild\n")
    words = WordListFilter(tmp_path)
    assert words.is_blocked("Fiddlesticks!")
    assert words.is_blocked("fuck")
    assert not words.is_blocked("ours, mild")
