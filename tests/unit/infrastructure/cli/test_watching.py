from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

import httpx
import pytest
from rich.console import Console

from infrastructure.cli.requests.api_client import (
    Checked,
    ServerRefused,
    ServerUnreachable,
    V2Client,
)
from infrastructure.cli.requests.progress_display import (
    ProgressBar,
    ProgressLines,
    Step,
    counts_of,
    progress_on,
)
from infrastructure.cli.requests.watcher import watch
from infrastructure.cli.terminal.output import Output

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

    def step(self, step: Step) -> None:
        self.seen.append(f"step {step.step}")

    def away(self, reason: str) -> None:
        self.seen.append("away")


def server_that_says(*answers: Answer) -> V2Client:
    """A server with these answers, one for each question: a body, a status, or silence.

    It has no streams, and never waits with an answer.
    """
    coming: Iterator[Answer] = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if "/events/" in request.url.path:
            return httpx.Response(404, json={"message": "Not Found", "rc": "X"})
        said = next(coming)
        if said is None:
            raise httpx.ConnectError("Connection refused")
        if isinstance(said, int):
            return httpx.Response(said, json={"message": "No.", "rc": "X"})
        return httpx.Response(200, json=said)

    return V2Client("http://h.test", "k", client_agent="t", transport=httpx.MockTransport(answer))


class Streaming:
    """A server with these streams, one for each time that somebody follows.

    A stream is what it brings before it is cut off, or a status; after the last one there is none.
    """

    def __init__(self, *streams: bytes | int, answers: Sequence[Answer] = ()) -> None:
        self.streams = iter(streams)
        self.answers = iter(answers)
        self.resumed: list[str | None] = []
        """From where each stream was to go on."""
        self.checks: list[tuple[str | None, str | None]] = []
        """For how long each check was to wait, and for what."""
        self.etags = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the script says."""
        if "/events/" in request.url.path:
            self.resumed.append(request.headers.get("last-event-id"))
            brought = next(self.streams, 404)
            if isinstance(brought, int):
                return httpx.Response(brought, json={"message": "No.", "rc": "X"})
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=Cut(brought)
            )
        self.checks.append((request.url.params.get("wait"), request.headers.get("if-none-match")))
        said = next(self.answers)
        assert isinstance(said, dict)
        tag = {"etag": f'W/"{said["finished"]}"'} if self.etags else {}
        return httpx.Response(200, json=said, headers=tag)

    def client(self) -> V2Client:
        """Return a client of it."""
        transport = httpx.MockTransport(self.answer)
        return V2Client("http://h.test", "k", client_agent="t", transport=transport)


class Cut(httpx.SyncByteStream):
    """A body of which some comes, and then the connection breaks."""

    def __init__(self, brought: bytes) -> None:
        self._brought = brought

    def __iter__(self) -> Iterator[bytes]:
        yield self._brought
        raise httpx.ReadError("cut off")


def event(name: str, position: int | None = None, **data: object) -> bytes:
    """Return an event as a server sends it."""
    line = "" if position is None else f"id: {position}\n"
    return f"{line}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


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
        watch(client, REQUEST, Recorder(), outage_timeout=5, pause=_no_pause, clock=ticking(1))


def test_a_server_that_comes_back_now_and_then_is_never_given_up() -> None:
    away_and_back: list[Answer] = [None, None, counts(1)] * 10
    shown = Recorder()
    with server_that_says(*away_and_back, counts(finished=1, done=True)) as client:
        last = watch(client, REQUEST, shown, outage_timeout=5, pause=_no_pause, clock=ticking(1))
    assert last.done
    assert shown.seen.count("away") == 20


def test_a_refusal_that_will_not_pass_ends_the_watching() -> None:
    with server_that_says(404) as client, pytest.raises(ServerRefused):
        watch(client, REQUEST, Recorder(), pause=_no_pause)


def test_it_can_be_told_to_stop_after_a_while() -> None:
    with server_that_says(*[counts(1)] * 50) as client:
        last = watch(client, REQUEST, Recorder(), within=5, pause=_no_pause, clock=ticking(1))
    assert not last.done


def test_a_stream_is_followed_step_by_step() -> None:
    shown = Recorder()
    server = Streaming(
        event("queued", 1)
        + event("started", 2)
        + event("progress", job="j", images=2, step=3, steps=20)
        + b": \n\n"
        + event("progress", 3, job="j", images=2, step=9, steps=20)
        + event("ended", 4),
        answers=[counts(2), counts(0, 2), counts(finished=2, done=True)],
    )
    with server.client() as client:
        assert watch(client, REQUEST, shown, pause=_no_pause).finished == 2
    assert shown.seen == ["2/0/0", "0/2/0", "step 3", "step 9", "0/0/2"]
    assert server.checks == [(None, None)] * 3


def test_a_stream_that_is_cut_off_is_resumed() -> None:
    shown = Recorder()
    server = Streaming(
        event("queued", 7) + b"event: image\nid: 8\nda",
        503,
        event("progress", job="j", images=1, step=1, steps=2),
        event("ended", 9),
        answers=[counts(1), counts(finished=1, done=True)],
    )
    with server.client() as client:
        watch(client, REQUEST, shown, pause=_no_pause)
    # What came without an id moves nothing.
    assert server.resumed == [None, "7", "7", "7"]
    assert shown.seen == ["1/0/0", "away", "away", "step 1", "away", "0/0/1"]


@pytest.mark.parametrize("refusal", [400, 404, 405, 406, 501])
def test_a_server_without_streams_is_asked_to_wait(refusal: int) -> None:
    server = Streaming(
        refusal, answers=[counts(2), counts(1, finished=1), counts(finished=2, done=True)]
    )
    server.etags = True
    with server.client() as client:
        watch(client, REQUEST, Recorder(), pause=_no_pause)
    assert server.resumed == [None]
    assert server.checks == [("0", None), ("20", 'W/"0"'), ("20", 'W/"1"')]


def test_a_server_that_can_neither_is_asked_plainly() -> None:
    server = Streaming(answers=[counts(2), counts(2), counts(finished=2, done=True)])
    with server.client() as client:
        watch(client, REQUEST, Recorder(), pause=_no_pause)
    assert server.checks == [("0", None)] * 3


def test_a_server_that_says_not_modified_is_asked_plainly() -> None:
    shown = Recorder()
    asked: list[str | None] = []
    coming = iter([counts(2), None, counts(finished=2, done=True)])

    def answer(request: httpx.Request) -> httpx.Response:
        if "/events/" in request.url.path:
            return httpx.Response(404)
        asked.append(request.headers.get("if-none-match"))
        said = next(coming)
        if said is None:
            return httpx.Response(304)
        return httpx.Response(200, json=said, headers={"etag": '"body"'})

    transport = httpx.MockTransport(answer)
    with V2Client("http://h.test", "k", client_agent="t", transport=transport) as client:
        watch(client, REQUEST, shown, pause=_no_pause)
    assert asked == [None, '"body"', None]
    assert shown.seen == ["2/0/0", "0/0/2"]


@pytest.mark.parametrize(
    "stream",
    [b"event: image\ndata: rubbish\n\n", b"event: image\ndata: []\n\n"],
)
def test_a_stream_that_is_not_understood_is_not_followed(stream: bytes) -> None:
    server = Streaming(stream, answers=[counts(finished=1, done=True)])
    with server.client() as client:
        assert watch(client, REQUEST, Recorder(), pause=_no_pause).done


def test_streams_that_bring_nothing_are_given_up() -> None:
    server = Streaming(*[b""] * 50, answers=[counts(finished=1, done=True)])
    with server.client() as client:
        watch(client, REQUEST, Recorder(), pause=_no_pause)
    assert len(server.resumed) == 3


def test_a_silent_stream_is_left_when_the_time_is_over() -> None:
    server = Streaming(event("queued", 1) + b":\n\n" * 50, answers=[counts(1)] * 50)
    with server.client() as client:
        last = watch(client, REQUEST, Recorder(), within=9, pause=_no_pause, clock=ticking(1))
    assert not last.done
    assert len(server.checks) == 2


def test_counts_are_told_in_words() -> None:
    checked = Checked(
        waiting=2, processing=3, finished=4, restarted=1, done=False, queue_position=8
    )
    assert counts_of(checked) == (
        "2 waiting · 3 at work · 4 finished · 1 lost and restarted · 7 ahead of us"
    )


def test_that_nobody_may_serve_it_is_told() -> None:
    checked = Checked(waiting=2, processing=0, finished=0, done=False, is_possible=False)
    assert counts_of(checked).endswith("no suitable worker yet")


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
    assert "retrying" in file.getvalue()


def test_the_bar_moves_with_each_step() -> None:
    file = StringIO()
    output = Output(
        out=Console(file=StringIO()),
        remarks=Console(file=file, force_terminal=True, width=120),
    )
    with progress_on(output, 4) as shown:
        shown.progress(Checked(waiting=0, processing=3, finished=1, done=False))
        shown.step(Step("job", 3, 7, 20))
    assert "1/4" in file.getvalue()
    assert "step 7 of 20" in file.getvalue()


def test_programs_are_told_each_step() -> None:
    file = StringIO()
    output = Output(as_json=True, out=Console(file=file))
    with progress_on(output, 1) as shown:
        shown.step(Step("job", 1, 7, 20))
    assert json.loads(file.getvalue()) == {
        "type": "step",
        "job": "job",
        "images": 1,
        "step": 7,
        "steps": 20,
    }


def _no_pause(_seconds: float) -> None:
    pass
