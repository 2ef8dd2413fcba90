"""The commands that look at a ledger, on a real one in a folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.accounts.account import ANONYMOUS_ID
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.cli.app import run
from infrastructure.keys.api_keys import digest_of
from tests.unit.infrastructure.cli.command_line import Command

SECRET = "a picture that nobody else may read about"


@pytest.fixture
def command(hoard: Hoard, run_command: Command) -> Command:
    return lambda *arguments: run_command(*arguments, "--data", str(hoard.settings.data))


def ask(hoard: Hoard, images: int = 3) -> UUID:
    settings = ImageSettings(512, 512, 4, "lcm", 1.0, True, 1)
    request_id, _ = hoard.ledger.requests.submit(
        SubmitRequest(
            Requester(ANONYMOUS_ID, client_address="203.0.113.7"),
            RequestSpecification(
                prompt=SECRET,
                negative_prompt="",
                settings=settings,
                requirements=Requirements((), settings.pixels, False, False, True, False),
                images=images,
            ),
        )
    )
    return request_id


def serve(hoard: Hoard, amount: int = 20) -> None:
    """Let a worker do everything that waits."""
    owner = hoard.operator.account_id
    offered = Capabilities(("scenes",), amount, 2048**2, True, 1, False, "test:1:none")
    while isinstance(
        job := hoard.ledger.jobs.pop(PopJob(owner, True, "worker", offered)), PoppedJob
    ):
        for image_id in job.image_ids:
            hoard.ledger.jobs.submit_image(
                image_id, owner_id=owner, digest="ab" * 32, seed=job.seed, state=ImageState.OK
            )


def follow(hoard: Hoard) -> None:
    for follower in hoard.views.followers:
        while follower.catch_up():
            continue


def json_lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_an_account_is_opened_and_its_key_works(hoard: Hoard, command: Command) -> None:
    status, out, err = command("accounts", "create", "alice", "--trusted", "--json")
    assert (status, err) == (0, "")
    (account,) = json_lines(out)
    assert (account["name"], account["roles"]) == ("alice", ["trusted"])
    assert len(account["api_key"]) == 22
    entry = hoard.inline.directory.account_by_key(digest_of(account["api_key"]))
    assert entry is not None
    assert (str(entry.account_id), entry.name) == (account["id"], "alice")
    assert (entry.roles.trusted, entry.roles.patron, entry.roles.moderator) == (True, False, False)


def test_the_key_of_an_account_is_nowhere_in_the_history(command: Command) -> None:
    _, out, _ = command("accounts", "create", "alice", "--json")
    _, history, _ = command("events", "--json")
    assert json_lines(out)[0]["api_key"] not in history
    assert [line["type"] for line in json_lines(history)] == ["Account.Opened"]


def test_people_see_the_key_and_that_it_is_shown_once(command: Command) -> None:
    status, out, err = command("accounts", "create", "bob", "--patron", "--moderator")
    assert status == 0
    assert "Account bob is open as patron, moderator." in out
    assert "API key" in out
    assert "cannot be shown again" in err


@pytest.mark.parametrize("name", ["", "   ", "x" * 31, "a#1", "two\nlines", "\x1b[31mred"])
def test_a_name_that_cannot_be_printed_is_no_name(
    hoard: Hoard, command: Command, name: str
) -> None:
    status, _, err = command("accounts", "create", name)
    assert status == 2
    assert "1 to 30 characters" in err
    assert hoard.storage.log.last_position() == 0


def test_an_account_may_be_opened_before_the_first_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "not yet" / "there"
    assert run(["accounts", "create", "alice", "--data", str(data)]) == 0
    assert "Account alice is open." in capsys.readouterr().out
    assert (data / "ledger.db").exists()


def test_the_history_is_listed_in_order_and_sealed(hoard: Hoard, command: Command) -> None:
    request_id = ask(hoard)
    serve(hoard)
    status, out, _ = command("events", "--json")
    lines = json_lines(out)
    assert status == 0
    assert [line["position"] for line in lines] == sorted(line["position"] for line in lines)
    (submitted,) = [line for line in lines if line["type"] == "Request.Submitted"]
    assert submitted["stream"] == {"kind": "Request", "id": str(request_id)}
    assert submitted["data"]["prompt"] == "‹sealed›"  # noqa: RUF001
    _, plain, _ = command("events")
    assert len(plain.splitlines()) == len(lines)
    for secret in (SECRET, "203.0.113.7"):
        assert secret not in out + plain


def test_a_request_shows_its_own_events_and_its_jobs(hoard: Hoard, command: Command) -> None:
    ask(hoard)
    request_id = ask(hoard, images=3)
    serve(hoard, amount=2)
    status, out, _ = command("events", "--request", str(request_id), "--json")
    assert status == 0
    types = [line["type"] for line in json_lines(out)]
    assert (types[0], types[-1]) == ("Request.Submitted", "Request.Completed")
    assert Counter(types) == {
        "Request.Submitted": 1,
        "Request.Sliced": 2,
        "Job.Batched": 2,
        "Job.ImageGenerated": 3,
        "Job.Completed": 2,
        "Request.JobReturned": 2,
        "Request.Completed": 1,
    }


def test_a_page_of_the_history_can_be_asked_for(hoard: Hoard, command: Command) -> None:
    request_id = ask(hoard)
    serve(hoard)
    all_lines = json_lines(command("events", "--json")[1])
    third = str(all_lines[2]["position"])
    assert json_lines(command("events", "--after", third, "--json")[1]) == all_lines[3:]
    page = command("events", "--after", third, "--limit", "2", "--json")
    assert json_lines(page[1]) == all_lines[3:5]
    of_request = json_lines(command("events", "--request", str(request_id), "--json")[1])
    first = str(of_request[0]["position"])
    page = command(
        "events", "--request", str(request_id), "--after", first, "--limit", "1", "--json"
    )
    assert json_lines(page[1]) == of_request[1:2]


def test_an_empty_history_says_so(command: Command) -> None:
    assert command("events") == (0, "", "No events yet.\n")
    assert command("events", "--after", "7") == (0, "", "No events after 7.\n")


def test_an_unknown_request_says_so(hoard: Hoard, command: Command) -> None:
    serve(hoard)
    opened, *_ = json_lines(command("events", "--json")[1])
    for unknown in (str(uuid4()), opened["stream"]["id"]):
        status, out, err = command("events", "--request", unknown)
        assert (status, out) == (1, "")
        assert f"There is no request {unknown}." in err
    assert command("events", "--request", "17")[0] == 2


def test_what_happens_can_be_followed_until_ctrl_c(hoard: Hoard) -> None:
    ask(hoard)
    following = subprocess.Popen(
        [
            *(sys.executable, "-m", "infrastructure.cli", "events", "--follow", "--json"),
            *("--data", str(hoard.settings.data)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert following.stdout is not None
        assert (
            json.loads(following.stdout.readline())["position"] == hoard.storage.log.last_position()
        )
        later = ask(hoard)
        assert json.loads(following.stdout.readline())["stream"]["id"] == str(later)
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=60)
    finally:
        following.kill()
        following.wait()
    assert (following.returncode, err) == (130, "")


def test_one_history_cannot_be_followed(command: Command) -> None:
    status, _, err = command("events", "--follow", "--request", str(uuid4()))
    assert status == 2
    assert "--follow" in err


@pytest.mark.parametrize("arguments", [["events"], ["projections", "status"]])
def test_looking_at_nothing_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run([*arguments, "--data", str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr()
    assert "There is no ledger" in said.err
    assert "hoard up --data" in said.err
    assert list(tmp_path.iterdir()) == []


def test_status_tells_positions_and_what_is_behind(hoard: Hoard, command: Command) -> None:
    ask(hoard)
    follow(hoard)
    before = hoard.storage.log.last_position()
    ask(hoard)
    states = {
        line["view"]: line for line in json_lines(command("projections", "status", "--json")[1])
    }
    assert set(states) == {
        *(view.name for view in hoard.inline.all),
        *(follower.view.name for follower in hoard.views.followers),
    }
    assert (states["queue"]["position"], states["queue"]["behind"]) == (before + 1, 0)
    assert states["queue"]["rows"] >= 2
    assert (states["status"]["position"], states["status"]["behind"]) == (before, 1)
    assert states["status"]["rows"] == 1
    status, out, err = command("projections", "status")
    assert status == 0
    assert out.splitlines()[0].split() == [
        "view",
        "changes",
        "position",
        "events",
        "behind",
        "rows",
    ]
    assert f"position {before + 1}" in err


def test_views_that_hold_what_the_events_say_verify(hoard: Hoard, command: Command) -> None:
    ask(hoard)
    serve(hoard)
    ask(hoard)
    follow(hoard)
    status, out, err = command("projections", "verify", "all")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == len(hoard.inline.all) + len(hoard.views.followers)
    assert all(line.startswith("✓") for line in out.splitlines())


def test_a_view_that_was_changed_by_hand_does_not_verify_until_it_is_rebuilt(
    hoard: Hoard, command: Command
) -> None:
    ask(hoard)
    follow(hoard)
    with hoard.storage.view_database.transaction() as connection:
        connection.execute(text("UPDATE request_status SET waiting = 99"))
    status, out, err = command("projections", "verify", "status")
    assert status == 1
    assert "✗ status: 1 row served, not the same" in out
    assert "99" in out
    assert "hoard projections rebuild status" in err
    status, out, _ = command("projections", "verify", "status", "--json")
    (report,) = json_lines(out)
    assert (status, report["equal"], len(report["differences"])) == (1, False, 1)
    assert command("projections", "rebuild", "status")[:2] == (0, "✓ status is rebuilt: 1 row\n")
    assert command("projections", "verify", "status")[0] == 0


def test_every_view_can_be_rebuilt(hoard: Hoard, command: Command) -> None:
    ask(hoard)
    serve(hoard)
    status, out, _ = command("projections", "rebuild", "all", "--json")
    assert status == 0
    assert all(line["rebuilt"] for line in json_lines(out))
    states = json_lines(command("projections", "status", "--json")[1])
    assert all(state["behind"] == 0 for state in states)
    assert command("projections", "verify", "all")[0] == 0


@pytest.mark.parametrize("verb", ["verify", "rebuild"])
def test_an_unknown_view_is_answered_with_the_known_ones(command: Command, verb: str) -> None:
    status, _, err = command("projections", verb, "nonsense")
    assert status == 2
    assert "queue, directory, " in err
