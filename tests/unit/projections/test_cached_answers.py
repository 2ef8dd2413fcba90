"""Remembered answers: asked once for a while, never more than a small share of the time."""

from __future__ import annotations

import threading

from projections.sql.cached import CachedAnswer
from projections.sql.encoding import LONGEST_NAME, kept_name


class Oracle:
    """Counts how often it is asked; each answer takes a while on its own clock."""

    def __init__(self, takes: float = 0.0) -> None:
        self.time = 0.0
        self.takes = takes
        self.asked: list[str] = []

    def clock(self) -> float:
        return self.time

    def answer(self, key: str) -> int:
        self.asked.append(key)
        self.time += self.takes
        return len(self.asked)


def test_an_answer_is_repeated_until_its_time_is_over() -> None:
    oracle = Oracle()
    remembered = CachedAnswer(oracle.answer, seconds=1.0, clock=oracle.clock)
    assert [remembered("a"), remembered("a"), remembered("b")] == [1, 1, 2]
    oracle.time = 0.99
    assert remembered("a") == 1
    oracle.time = 1.0
    assert remembered("a") == 3


def test_an_answer_that_took_long_is_repeated_for_longer() -> None:
    oracle = Oracle(takes=2.0)
    remembered = CachedAnswer(oracle.answer, seconds=1.0, clock=oracle.clock)
    remembered("a")
    oracle.time = 41.9
    assert remembered("a") == 1
    oracle.time = 42.0
    assert remembered("a") == 2


def test_the_keys_that_were_asked_last_are_the_ones_kept() -> None:
    oracle = Oracle()
    remembered = CachedAnswer(oracle.answer, seconds=1.0, most=2, clock=oracle.clock)
    for key in "abcba":
        remembered(key)
    assert oracle.asked == ["a", "b", "c", "a"]


def test_while_one_asks_anew_others_get_the_old_answer() -> None:
    asking, go_on = threading.Event(), threading.Event()
    time = 0.0
    answers = iter(["old", "new"])

    def ask(_: str) -> str:
        answer = next(answers)
        if answer == "new":
            asking.set()
            go_on.wait(60)
        return answer

    remembered = CachedAnswer(ask, seconds=1.0, clock=lambda: time)
    assert remembered("a") == "old"
    time = 5.0
    thread = threading.Thread(target=remembered, args=("a",))
    thread.start()
    assert asking.wait(60)
    assert remembered("a") == "old"
    go_on.set()
    thread.join()
    assert remembered("a") == "new"


def test_names_are_kept_as_far_as_every_database_takes_them() -> None:
    assert kept_name("Hoard Scenes") == "Hoard Scenes"
    assert kept_name("a\0b\ud800") == "ab?"
    assert kept_name("ü" * 1000) == "ü" * LONGEST_NAME
