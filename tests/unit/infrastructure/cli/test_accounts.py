"""``hoard accounts`` on a real ledger in a folder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.accounts.roles import Roles
from infrastructure.bootstrap import Hoard
from infrastructure.cli.accounts.commands import Role
from infrastructure.keys.api_keys import digest_of
from tests.unit.infrastructure.cli.command_line import Command


@pytest.fixture
def command(hoard: Hoard, run_command: Command) -> Command:
    options = ("--data", str(hoard.settings.data))
    return lambda name, *arguments: run_command("accounts", name, *options, *arguments)


def answer(command: Command, *arguments: str) -> Any:
    status, out, _ = command(arguments[0], "--json", *arguments[1:])
    assert status == 0
    (line,) = out.splitlines()
    return json.loads(line)


def test_every_role_can_be_named() -> None:
    assert {role.value for role in Role} == set(Roles.__dataclass_fields__)


def test_the_first_admin_is_made_here(hoard: Hoard, command: Command) -> None:
    made = answer(command, "create", "--admin", "--role", "vpn", "root")
    assert made["roles"] == ["admin", "vpn"]
    entry = hoard.inline.directory.account_by_key(digest_of(made["api_key"]))
    assert entry is not None
    assert (entry.number, entry.roles.admin) == (made["number"], True)


def test_accounts_are_listed_and_shown(command: Command) -> None:
    for name in ("alice", "bob"):
        answer(command, "create", "--trusted", name)
    _, out, _ = command("list")
    heading, alice, bob = out.splitlines()
    assert heading.split() == ["number", "name", "roles", "kudos", "workers", "opened"]
    assert (alice.split()[1:5], bob.split()[1]) == (["alice", "trusted", "0.00", "0"], "bob")
    _, out, _ = command("list", "--json", "--limit", "1")
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["alice"]
    number = answer(command, "show", "bob")["number"]
    assert answer(command, "show", f"bob#{number}") == answer(command, "show", str(number))
    _, out, _ = command("show", "bob")
    assert "trusted" in out
    assert "earned 0.00" in out


def test_roles_are_given_and_taken(hoard: Hoard, command: Command) -> None:
    answer(command, "create", "--trusted", "alice")
    changed = answer(command, "roles", "--give", "moderator", "--take", "trusted", "alice")
    assert changed["roles"] == ["moderator"]
    assert command("roles", "alice")[0] == 2
    assert command("roles", "--give", "nonsense", "alice")[0] == 2


def test_a_new_key_takes_the_old_one_s_place(hoard: Hoard, command: Command) -> None:
    old = answer(command, "create", "alice")["api_key"]
    new = answer(command, "key", "alice")["api_key"]
    assert hoard.inline.directory.account_by_key(digest_of(old)) is None
    assert hoard.inline.directory.account_by_key(digest_of(new)) is not None


def test_kudos_are_awarded_and_taken(command: Command) -> None:
    answer(command, "create", "alice")
    assert answer(command, "award", "alice", "12.5")["kudos"] == 12.5
    assert answer(command, "award", "alice", "--", "-20")["kudos"] == 0.0


def test_an_account_is_deleted_and_opened_again(hoard: Hoard, command: Command) -> None:
    key = answer(command, "create", "alice")["api_key"]
    answer(command, "delete", "--yes", "alice")
    entry = hoard.inline.directory.account_by_key(digest_of(key))
    assert entry is not None
    assert entry.deleted
    assert command("list")[1].splitlines()[1:] == []
    answer(command, "restore", "alice")
    entry = hoard.inline.directory.account_by_key(digest_of(key))
    assert entry is not None
    assert not entry.deleted


def test_an_account_that_is_not_there_is_not_found(command: Command) -> None:
    status, _, err = command("show", "nobody")
    assert status == 1
    assert "There is no account nobody." in err


def test_what_the_ledger_refuses_is_told_in_a_sentence(command: Command) -> None:
    answer(command, "create", "--moderator", "alice")
    status, _, err = command("delete", "--yes", "alice")
    assert status == 1
    assert "moderator's account cannot be deleted" in err
