"""``hoard webhooks`` on a real ledger in a folder."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.ledger.webhooks import PlannedDelivery
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.webhooks.attempts import Outcome
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.endpoint import DisableReason
from domain.webhooks.notification import Notification
from domain.webhooks.webhook import WebhookTarget
from domain.workers.matching import Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.cli.app import run
from infrastructure.cli.terminal.output import Output
from infrastructure.cli.webhooks import commands as webhooks
from infrastructure.cli.webhooks.lists import write_deliveries
from infrastructure.cli.webhooks.resending import resend_all
from infrastructure.cli.webhooks.words import DeliveryLines
from infrastructure.settings.environment import Settings
from projections.tracking import notifications
from tests.delivery_world import BROKEN, GONE, SILENT, TAKEN, DeliveryWorld, address, numbered
from tests.prepared import assembled
from tests.unit.infrastructure.cli.command_line import Command
from tests.waiting import wait_until
from tests.world import ManualClock

SECRET_PATH = "/hook"
"""What stands in the address of each endpoint and must not be shown unasked."""


@pytest.fixture
def told(tmp_path: Path) -> Iterator[DeliveryWorld]:
    """Deliveries whose clock starts three hours ago; that of the commands is the machine's."""
    clock = ManualClock()
    clock.time = datetime.now(UTC) - timedelta(hours=3)
    # No Redis runs here, and a broker of another kind is not looked for until a bell is rung.
    settings = Settings(data=tmp_path / "data", broker_url="amqp://localhost")
    hoard = assembled(settings, clock=clock)
    yield DeliveryWorld(hoard, clock)
    hoard.close()


@pytest.fixture
def command(told: DeliveryWorld, run_command: Command) -> Command:
    def on_the_ledger(name: str, *arguments: str) -> tuple[int, str, str]:
        follow(told.hoard)
        return run_command("webhooks", name, "--data", str(told.hoard.settings.data), *arguments)

    return on_the_ledger


def follow(hoard: Hoard) -> None:
    for follower in hoard.views.followers:
        while follower.catch_up():
            continue


def json_lines(command: Command, *arguments: str) -> list[dict[str, Any]]:
    status, out, err = command(arguments[0], "--json", *arguments[1:])
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def ids_in(lines: Sequence[dict[str, Any]]) -> list[UUID]:
    return [UUID(line["delivery_id"]) for line in lines]


def tried(told: DeliveryWorld, delivery_id: UUID, outcome: Outcome, answer: str = "") -> None:
    told.hoard.ledger.webhooks.record_attempt(delivery_id, outcome, seconds=0.25, answer=answer)


def request_with_webhook(told: DeliveryWorld, where: str) -> UUID:
    """Schedule a delivery for an address that a request names."""
    destination = told.hoard.sending.keys.destination(told.account_id, where)
    request_id, _ = told.hoard.ledger.requests.submit(
        SubmitRequest(
            Requester(told.account_id),
            RequestSpecification(
                prompt="a red square",
                negative_prompt="",
                settings=ImageSettings(64, 64, 2, "k_euler", 5.0, True, 1),
                requirements=Requirements((), 64 * 64, False, False, True, False),
                images=1,
                webhook=WebhookTarget(where, destination, notifications.DEFAULT_KINDS),
            ),
        )
    )
    return told.due(request_id, to=destination)


def test_every_state_can_be_named() -> None:
    assert {state.value for state in webhooks.State} == {state.value for state in DeliveryState}


def test_deliveries_are_listed_with_the_last_first(told: DeliveryWorld, command: Command) -> None:
    endpoint = told.endpoint()
    first = told.due(numbered(1), endpoint=endpoint)
    tried(told, first, SILENT)
    second = told.due(numbered(2), to=address(2))
    tried(told, second, GONE)
    assert ids_in(json_lines(command, "list")) == [second, first]

    status, out, err = command("list")
    assert status == 0
    heading, newer, older = out.splitlines()
    assert heading.split() == [
        *("delivery", "scheduled", "kind", "attempts", "last", "state", "request", "endpoint"),
    ]
    assert newer.split()[0] == str(second)
    assert newer.split()[2:] == ["image", "1", "410", "abandoned:", "gone", str(numbered(2)), "–"]
    assert older.split()[2:7] == ["image", "1", "timed", "out", "due"]
    assert older.split()[-2:] == [str(numbered(1)), str(endpoint)]
    assert err == "2 deliveries.\n"


def test_lists_are_narrowed(told: DeliveryWorld, command: Command) -> None:
    old = told.due(numbered(1), to=address(1))
    told.clock.advance(timedelta(hours=2))
    new = told.due(numbered(2), to=address(2))
    tried(told, new, TAKEN)
    other = told.hoard.ledger.accounts.open("other", "f" * 64, Roles())
    third, fourth = (
        Notification(notifications.ENDED, numbered(number), numbered(number), told.clock.now())
        for number in (3, 4)
    )
    theirs = told.schedule(PlannedDelivery(third, other, None, address(3)))[0]
    anonymous = told.schedule(PlannedDelivery(fourth, ANONYMOUS_ID, None, address(4)))[0]
    follow(told.hoard)

    def found(*arguments: str) -> set[UUID]:
        return set(ids_in(json_lines(command, "list", *arguments)))

    assert found() == {old, new, theirs, anonymous}
    assert found("--state", "delivered") == {new}
    assert found("--request", str(numbered(1))) == {old}
    assert found("--since", "2h") == {new, theirs, anonymous}
    assert found("--since", told.clock.now().isoformat()) == {new, theirs, anonymous}
    assert found("--since", "30m") == set()
    entry = told.hoard.inline.directory.account(other)
    assert entry is not None
    for who in ("other", entry.handle, str(entry.number), str(other)):
        assert found("--account", who) == {theirs}
    assert found("--account", "anonymous") == {anonymous}
    assert len(found("--limit", "2")) == 2


def test_a_long_list_is_read_in_pages(
    told: DeliveryWorld, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [told.due(numbered(place), to=address(place)) for place in range(8)]
    monkeypatch.setattr(webhooks, "_PAGE", 3)
    assert ids_in(json_lines(command, "list", "--limit", "7")) == made[:0:-1]
    assert ids_in(json_lines(command, "list", "--limit", "50")) == made[::-1]


def test_a_list_that_lags_behind_says_so(
    told: DeliveryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(told.hoard)
    told.due(numbered(1), to=address(1))
    assert run(["webhooks", "list", "--data", str(told.hoard.settings.data)]) == 0
    assert "More has happened since" in capsys.readouterr().err
    follow(told.hoard)
    assert run(["webhooks", "list", "--data", str(told.hoard.settings.data)]) == 0
    assert "More has happened" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--since", "yesterday"], "yesterday is not a time."),
        (["list", "--since", "99999999d"], "is not a time."),
        (["list", "--request", "17"], "17 is not an id of a request."),
        (["list", "--state", "nonsense"], ""),
        (["list", "--limit", "0"], ""),
        (["show", "17"], "17 is not an id of a delivery."),
        (["test", "17"], "17 is not an id of an endpoint."),
        (["resend"], "What is to be sent again?"),
        (["resend", str(UUID(int=7)), "--failed-since", "1h"], "What is to be sent again?"),
        (["resend", str(UUID(int=7)), "--account", "integrator"], "What is to be sent again?"),
        (["tail", "--after", "-1"], ""),
    ],
)
def test_what_cannot_be_meant_is_status_2(
    command: Command, arguments: list[str], said: str
) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["show", str(UUID(int=7))], "hoard webhooks list"),
        (["resend", str(UUID(int=7))], "hoard webhooks list"),
        (["test", str(UUID(int=7))], "hoard webhooks endpoints"),
        (["list", "--account", "nobody"], "hoard accounts list"),
        (["endpoints", "--account", str(UUID(int=7))], "hoard accounts list"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    command: Command, arguments: list[str], advice: str
) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith("hoard: There is no ")
    assert advice in err


def test_a_delivery_is_shown_with_each_of_its_attempts(
    told: DeliveryWorld, command: Command
) -> None:
    endpoint = told.endpoint()
    delivery_id = told.due(numbered(1), endpoint=endpoint)
    assert "There was no attempt yet." in command("show", str(delivery_id))[2]
    tried(told, delivery_id, BROKEN, "no \x1b[31m luck")
    tried(told, delivery_id, SILENT)
    (shown,) = json_lines(command, "show", str(delivery_id))
    assert [(each["number"], each["status"], each["problem"]) for each in shown["attempts"]] == [
        (1, 500, None),
        (2, None, "timed_out"),
    ]
    assert [each["answer"] for each in shown["attempts"]] == ["no \x1b[31m luck", None]
    due_at = told.hoard.ledger.webhooks.delivery(delivery_id).due_at
    assert due_at is not None
    assert datetime.fromisoformat(shown["due_at"]) == due_at
    assert datetime.fromisoformat(shown["attempts"][1]["again_at"]) == due_at
    assert (shown["to"], shown["state"], shown["given_up"]) == ("receiver.example", "due", None)

    status, out, _ = command("show", str(delivery_id))
    assert status == 0
    first, second = out.splitlines()[-2:]
    assert first.split()[2:4] == ["500", "0.25"]
    assert first.endswith(r"no \x1b[31m luck")
    assert second.split()[2:5] == ["timed", "out", "0.25"]
    assert SECRET_PATH not in out
    assert "https://receiver.example/hook" in command("show", "--address", str(delivery_id))[1]


def test_why_a_delivery_was_abandoned_is_shown(told: DeliveryWorld, command: Command) -> None:
    delivery_id = told.due(numbered(1), endpoint=told.endpoint())
    tried(told, delivery_id, GONE)
    (shown,) = json_lines(command, "show", str(delivery_id))
    assert (shown["state"], shown["given_up"], shown["due_at"]) == ("given_up", "gone", None)
    told.hoard.ledger.webhooks.resend(delivery_id, by=None)
    (shown,) = json_lines(command, "show", str(delivery_id))
    assert (shown["state"], shown["given_up"]) == ("due", None)


def test_the_address_of_a_request_s_own_webhook_is_shown_when_asked(
    told: DeliveryWorld, command: Command
) -> None:
    where = "https://bot.example/secret?job=17"
    delivery_id = request_with_webhook(told, where)
    tried(told, delivery_id, BROKEN, "spilt")
    assert json_lines(command, "show", str(delivery_id))[0]["to"] == "bot.example"
    assert json_lines(command, "show", "--address", str(delivery_id))[0]["to"] == where

    told.hoard.secrets.personal_keys.forget(told.account_id)
    (shown,) = json_lines(command, "show", "--address", str(delivery_id))
    assert (shown["to"], shown["attempts"][0]["answer"]) == ("(forgotten)", "(forgotten)")


def test_endpoints_are_listed_by_host_with_what_is_wrong(
    told: DeliveryWorld, command: Command
) -> None:
    sound, resting, gone, deleted = (told.endpoint() for _ in range(4))
    told.clock.time = datetime.now(UTC)
    for _ in range(9):
        tried(told, told.due(numbered(1), endpoint=resting), BROKEN)
    told.hoard.ledger.webhooks.disable_endpoint(gone, DisableReason.GONE)
    told.hoard.ledger.webhooks.delete_endpoint(deleted, account_id=told.account_id)
    lines = {UUID(line["endpoint_id"]): line for line in json_lines(command, "endpoints")}
    assert list(lines) == [sound, resting, gone]
    assert lines[sound]["notice"] is None
    assert (lines[sound]["to"], lines[sound]["events"]) == ("receiver.example", ["image", "ended"])
    assert (lines[resting]["failures"], lines[gone]["disabled_because"]) == (9, "gone")
    until = told.hoard.inline.deliveries.health(resting).next_probe_at
    assert until is not None
    assert datetime.fromisoformat(lines[resting]["resting_until"]) == until
    assert "nothing is sent there until" in lines[resting]["notice"]
    assert "410" in lines[gone]["notice"]

    status, out, _ = command("endpoints")
    assert status == 0
    assert SECRET_PATH not in out
    assert [line.split()[-2] for line in out.splitlines()[1:4]] == ["enabled", "open", "gone"]
    assert f"{gone}: It answered 410" in out
    assert "https://receiver.example/hook" in command("endpoints", "--addresses")[1]


def test_endpoints_of_one_account_can_be_asked_for(told: DeliveryWorld, command: Command) -> None:
    mine = told.endpoint()
    other = told.hoard.ledger.accounts.open("other", "f" * 64, Roles())
    theirs = told.hoard.ledger.webhooks.register_endpoint(
        other, address="https://other.example/x", kinds=[notifications.ENDED]
    )
    both = [UUID(line["endpoint_id"]) for line in json_lines(command, "endpoints")]
    assert both == [mine, theirs]
    (line,) = json_lines(command, "endpoints", "--account", "other")
    assert (UUID(line["endpoint_id"]), line["to"]) == (theirs, "other.example")


def test_one_delivery_is_sent_again_whatever_became_of_it(
    told: DeliveryWorld, command: Command
) -> None:
    for outcome in (TAKEN, GONE):
        delivery_id = told.due(numbered(1), to=address(1))
        tried(told, delivery_id, outcome)
        assert json_lines(command, "resend", str(delivery_id))[0]["resent"] is True
        assert told.hoard.ledger.webhooks.delivery(delivery_id).is_due
        assert json_lines(command, "resend", str(delivery_id))[0]["resent"] is False
        assert "is still being sent." in command("resend", str(delivery_id))[1]


def test_sending_again_to_a_disabled_endpoint_warns(told: DeliveryWorld, command: Command) -> None:
    endpoint = told.endpoint()
    delivery_id = told.due(numbered(1), endpoint=endpoint)
    tried(told, delivery_id, GONE)
    told.hoard.ledger.webhooks.disable_endpoint(endpoint, DisableReason.GONE)
    status, out, err = command("resend", str(delivery_id))
    assert (status, out) == (0, f"Delivery {delivery_id} is sent again.\n")
    assert "Its endpoint is disabled" in err


def test_all_that_was_given_up_since_is_sent_again(told: DeliveryWorld, command: Command) -> None:
    def failed(number: int) -> UUID:
        delivery_id = told.due(numbered(number), to=address(number))
        tried(told, delivery_id, GONE)
        return delivery_id

    old = failed(1)
    told.clock.advance(timedelta(hours=2))
    recent = [failed(number) for number in range(2, 6)]
    delivered = told.due(numbered(9), to=address(9))
    tried(told, delivered, TAKEN)
    other = told.hoard.ledger.accounts.open("other", "f" * 64, Roles())
    assert command("resend", "--failed-since", "2h", "--account", str(other))[1].startswith("0 ")
    assert json_lines(command, "resend", "--failed-since", "2h")[0]["resent"] == 4
    assert all(told.hoard.ledger.webhooks.delivery(each).is_due for each in recent)
    for untouched in (old, delivered):
        assert not told.hoard.ledger.webhooks.delivery(untouched).is_due
    status, out, _ = command("resend", "--failed-since", "1d")
    assert status == 0
    assert out.startswith("1 delivery is sent again, of what was abandoned since ")


def test_what_was_sent_again_already_is_not_counted(told: DeliveryWorld) -> None:
    """The list of deliveries does not know it yet."""
    failed = [told.due(numbered(number), to=address(number)) for number in range(3)]
    for delivery_id in failed:
        tried(told, delivery_id, GONE)
    follow(told.hoard)
    told.hoard.ledger.webhooks.resend(failed[0], by=None)
    told.hoard.ledger.webhooks.resend(failed[1], by=None)
    tried(told, failed[1], TAKEN)
    out, remarks = terminal(), terminal()
    output = Output(out=out, remarks=remarks)
    resend_all(told.hoard, told.clock.now() - timedelta(hours=1), None, output)
    assert shown_on(out).startswith("1 delivery is sent again")
    assert "sending again" in shown_on(remarks)
    assert told.hoard.ledger.webhooks.delivery(failed[1]).state is DeliveryState.DELIVERED


def terminal(width: int = 140) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def shown_on(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_has_room_for_each_delivery_on_one_line(told: DeliveryWorld) -> None:
    tried(told, told.due(numbered(1), to=address(1)), SILENT)
    tried(told, told.due(numbered(2), to=address(1)), GONE)
    told.hoard.ledger.webhooks.test_endpoint(told.endpoint(), account_id=told.account_id)
    follow(told.hoard)
    rows = told.hoard.views.webhooks.page()
    out = terminal(105)
    write_deliveries(Output(out=out, remarks=terminal()), rows)
    lines = [line for line in shown_on(out).splitlines() if line.strip()]
    assert len(lines) == 2 + len(rows)
    assert all(str(row.delivery_id) in line for row, line in zip(rows, lines[2:], strict=True))


def test_what_happens_to_deliveries_is_one_line_each(told: DeliveryWorld) -> None:
    delivery_id = told.due(numbered(1), to=address(1))
    tried(told, delivery_id, SILENT)
    told.hoard.ledger.webhooks.abandon(delivery_id, AbandonReason.FAILED)
    told.hoard.ledger.webhooks.resend(delivery_id, by=None)
    tried(told, delivery_id, TAKEN)
    out = terminal()
    lines = DeliveryLines(told.hoard, Output(out=out, remarks=terminal()))
    for recorded in told.hoard.storage.log.after(0, 100):
        lines.write(recorded)
    said = [line.split(maxsplit=1)[1] for line in shown_on(out).splitlines()]
    assert [line.split("  ")[0].strip() for line in said] == [
        *("scheduled", "attempted", "abandoned", "resent", "attempted", "delivered"),
    ]
    assert all(str(delivery_id) in line for line in said)
    assert "attempt 1: timed out after 0.25 s, again at" in said[1]
    assert said[2].endswith("failed, after 1 attempt")


@contextmanager
def tailing(told: DeliveryWorld, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "infrastructure.cli", "webhooks", "tail", *arguments),
            *("--data", str(told.hoard.settings.data)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_deliveries_are_followed_live_until_ctrl_c(told: DeliveryWorld) -> None:
    position = told.hoard.storage.log.last_position()
    first = told.due(numbered(1), to=address(1))
    with tailing(told, "--json", "--after", str(position)) as process:
        assert process.stdout is not None
        assert ids_in([json.loads(process.stdout.readline())]) == [first]
        second = told.due(numbered(2), to=address(2))
        tried(told, second, GONE)
        events = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert ids_in(events) == [second] * 3
        assert [event["event"] for event in events] == ["scheduled", "attempted", "given_up"]
        assert {event["request_id"] for event in events} == {str(numbered(2))}
        assert (events[1]["status"], events[1]["again_at"]) == (410, None)
        assert (events[2]["reason"], events[2]["attempts"]) == ("gone", 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_without_a_position_only_what_is_to_come_is_shown(told: DeliveryWorld) -> None:
    told.due(numbered(1), to=address(1))
    with tailing(told) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline().startswith("What happens after position ")
        later = told.due(numbered(2), to=address(2))
        line = process.stdout.readline()
        assert line.split()[1:] == ["scheduled", "image", str(later)]


@contextmanager
def sender(told: DeliveryWorld, outcome: Outcome, answer: str = "") -> Iterator[None]:
    """Try whatever is due next, in a thread, as the sender of webhooks would."""
    problems: list[BaseException] = []

    def send() -> None:
        try:
            (delivery_id,) = wait_until(told.claimed, "a delivery")
            told.hoard.ledger.webhooks.record_attempt(
                delivery_id, outcome, seconds=0.5, answer=answer
            )
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert problems == []


def test_a_test_that_arrives_is_shown(told: DeliveryWorld, command: Command) -> None:
    endpoint = told.endpoint()
    told.hoard.ledger.webhooks.disable_endpoint(endpoint, DisableReason.DEAD)
    told.clock.time = datetime.now(UTC) + timedelta(minutes=1)
    with sender(told, TAKEN):
        status, out, err = command("test", str(endpoint), "--wait", "120")
    assert (status, out) == (0, "✓ receiver.example: 204 after 0.50 s\n")
    assert SECRET_PATH not in out + err


def test_a_test_that_does_not_arrive_is_status_1(told: DeliveryWorld, command: Command) -> None:
    endpoint = told.endpoint()
    told.clock.time = datetime.now(UTC) + timedelta(minutes=1)
    with sender(told, BROKEN, "Oh\nno"):
        status, out, err = command("test", str(endpoint), "--wait", "120")
    assert (status, out) == (1, "✗ receiver.example: 500 after 0.50 s\n")
    assert r"'Oh\nno'" in err


def test_a_test_that_nobody_sends_says_what_to_do(told: DeliveryWorld, command: Command) -> None:
    endpoint = told.endpoint()
    status, out, err = command("test", str(endpoint), "--wait", "0")
    assert (status, out) == (1, "")
    assert "Nothing was sent within 0 s." in err
    (line,) = json_lines(command, "list")
    assert f"hoard webhooks show {line['delivery_id']}" in err
    told.hoard.ledger.webhooks.delete_endpoint(endpoint, account_id=told.account_id)
    assert command("test", str(endpoint))[0] == 1


def test_an_unknown_id_is_no_other_delivery(told: DeliveryWorld, command: Command) -> None:
    told.due(numbered(1), to=address(1))
    assert command("show", str(uuid4()))[0] == 1
