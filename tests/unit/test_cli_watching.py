from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO

import httpx
import pytest
from rich.console import Console

from infrastructure.cli.output import Output
from infrastructure.cli.v2_client import Checked, ServerRefused, ServerUnreachable, V2Client
from infrastructure.cli.watching import ProgressBar, ProgressLines, counts_of, progress_on, watch

REQUEST = "8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e"

Answer = dict[str, object] | int | None


def counts(waiting: int = 0, processing: int = 0, finished: int = 0, **more: object) -> Answer:
    return {
        "waiting": waiting,
        "processing": processing,
        "finished": finished,
        "done": False,
    } | more


class Recorder:
    """Somewhere to show progress that remembers it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def progress(self, checked: Checked) -> None:
        self.seen.append(f"{checked.waiting}/{checked.processing}/{checked.finished}")

    def away(self, reason: str) -> None:
        self.seen.append("away")


def server_that_says(*answers: Answer) -> V2Client:
    """A server with these answers, one for each question: a body, a status, or silence."""
    coming: Iterator[Answer] = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        said = next(coming)
        if said is None:
            raise httpx.ConnectError("Connection refused")
        if isinstance(said, int):
            return httpx.Response(said, json={"message": "No.", "rc": "X"})
        return httpx.Response(200, json=said)

    return V2Client("http://h.test", "k", client_agent="t", transport=httpx.MockTransport(answer))


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that moves by so much whenever somebody looks at it."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    return clock


def test_it_asks_until_the_request_is_done() -> None:
    shown = Recorder()
    pauses: list[float] = []
    with server_that_says(
        counts(3), counts(0, 3), counts(0, 1, 2), counts(finished=3, done=True)
    ) as client:
        last = watch(client, REQUEST, shown, interval=0.25, pause=pauses.append)
    assert last.finished == 3
    assert shown.seen == ["3/0/0", "0/3/0", "0/1/2", "0/0/3"]
    assert pauses == [0.25] * 3


def test_a_faulted_request_ends_the_watching() -> None:
    with server_that_says(counts(finished=1, faulted=True)) as client:
        assert watch(client, REQUEST, Recorder(), pause=_no_pause).faulted


def test_a_server_that_comes_back_is_waited_for() -> None:
    shown = Recorder()
    with server_that_says(counts(2), None, 503, counts(finished=2, done=True)) as client:
        watch(client, REQUEST, shown, pause=_no_pause)
    assert shown.seen == ["2/0/0", "away", "away", "0/0/2"]


def test_a_server_that_stays_away_ends_the_watching() -> None:
    with (
        server_that_says(*[None] * 50) as client,
        pytest.raises(ServerUnreachable),
    ):
        watch(client, REQUEST, Recorder(), patience=5, pause=_no_pause, clock=ticking(1))


def test_a_server_that_comes_back_now_and_then_is_never_given_up() -> None:
    away_and_back: list[Answer] = [None, None, counts(1)] * 10
    with server_that_says(*away_and_back, counts(finished=1, done=True)) as client:
        watch(client, REQUEST, Recorder(), patience=5, pause=_no_pause, clock=ticking(1))


def test_a_refusal_that_will_not_pass_ends_the_watching() -> None:
    with server_that_says(404) as client, pytest.raises(ServerRefused):
        watch(client, REQUEST, Recorder(), pause=_no_pause)


def test_it_can_be_told_to_stop_after_a_while() -> None:
    with server_that_says(*[counts(1)] * 50) as client:
        last = watch(client, REQUEST, Recorder(), within=5, pause=_no_pause, clock=ticking(1))
    assert not last.done


def test_counts_are_told_in_words() -> None:
    checked = Checked(
        waiting=2, processing=3, finished=4, restarted=1, done=False, queue_position=8
    )
    assert counts_of(checked) == (
        "2 waiting · 3 at work · 4 finished · 1 lost and begun again · 7 before us"
    )


def test_that_nobody_may_serve_it_is_told() -> None:
    checked = Checked(waiting=2, processing=0, finished=0, done=False, is_possible=False)
    assert counts_of(checked).endswith("no worker that may make them is here yet")


def test_a_pipe_gets_a_line_for_each_change() -> None:
    file = StringIO()
    output = Output(out=Console(file=StringIO()), remarks=Console(file=file))
    first, second = (
        Checked(waiting=waiting, processing=1 - waiting, finished=0, done=False)
        for waiting in (1, 0)
    )
    with progress_on(output, 1) as shown:
        assert isinstance(shown, ProgressLines)
        for checked in (first, first, second, second):
            shown.progress(checked)
    assert file.getvalue().splitlines() == [
        "1 waiting · 0 at work · 0 finished",
        "0 waiting · 1 at work · 0 finished",
    ]


def test_a_terminal_gets_a_bar() -> None:
    file = StringIO()
    remarks = Console(file=file, force_terminal=True, width=120)
    output = Output(out=Console(file=StringIO()), remarks=remarks)
    with progress_on(output, 4) as shown:
        assert isinstance(shown, ProgressBar)
        shown.progress(Checked(waiting=0, processing=1, finished=3, done=False))
        shown.away("gone")
    assert "3/4" in file.getvalue()
    assert "trying again" in file.getvalue()


def _no_pause(_seconds: float) -> None:
    pass
