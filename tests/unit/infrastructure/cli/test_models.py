"""``hoard models`` and ``hoard modes``, on a real installation in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.workers.matching import Capabilities
from infrastructure.settings.environment import Settings
from tests.prepared import assembled
from tests.unit.infrastructure.cli.command_line import Command


@pytest.fixture
def command(tmp_path: Path, run_command: Command) -> Command:
    return lambda *arguments: run_command(*arguments, "--data", str(tmp_path))


def as_json(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


def offer(folder: Path, *models: str) -> None:
    """Let a worker be there that offers these models."""
    hoard = assembled(Settings(data=folder))
    hoard.views.presence.seen(
        UUID(int=1), Capabilities(models, 1, 512 * 512, False, 1, False, "a:1:b")
    )
    hoard.close()


def test_the_list_tells_family_style_and_origin(command: Command) -> None:
    assert command("models", "add", "Mine", "--baseline", "flux_1", "--style", "anime")[0] == 0
    status, said, _ = command("models", "list")
    assert status == 0
    lines = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert lines["AlbedoBase XL (SDXL)"][-4:] == ["stable_diffusion_xl", "generalist", "1", "Hoard"]
    assert lines["Mine"] == ["Mine", "flux_1", "anime", "0", "operator"]


def test_the_list_can_be_of_one_family_and_for_programs(command: Command) -> None:
    _, said, _ = command("models", "list", "--baseline", "stable_cascade", "--json")
    (cascade,) = as_json(said)
    assert cascade["name"] == "Stable Cascade 1.0"
    assert cascade["optimal"] == {"steps_min": 20, "steps_max": 30}
    assert [file["type"] for file in cascade["files"]] == ["stage_b", "stage_c"]
    status, _, said = command("models", "list", "--baseline", "sdxl")
    assert status == 2
    assert "stable_diffusion_xl" in said


def test_a_model_is_added_with_its_files(command: Command, tmp_path: Path) -> None:
    status, said, _ = command(
        *("models", "add", "Mine", "--baseline", "flux_1", "--nsfw", "--requires-source"),
        *("--description", "So good.", "--file", "m.safetensors=https://example.org/m?a=b"),
        *("--sha256", f"m.safetensors={'AB' * 32}"),
    )
    assert status == 0
    assert str(tmp_path / "models.toml") in said
    mine = as_json(command("models", "list", "--baseline", "flux_1", "--json")[1])[-1]
    assert mine == {
        "name": "Mine",
        "baseline": "flux_1",
        "style": "generalist",
        "nsfw": True,
        "requires_source": True,
        "description": "So good.",
        "optimal": {},
        "files": [
            {
                "name": "m.safetensors",
                "url": "https://example.org/m?a=b",
                "sha256": "ab" * 32,
                "type": "checkpoint",
            }
        ],
        "own": True,
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--baseline", "sdxl"), "baseline"),
        (("--baseline", "flux_1", "--style", "cubist"), "style"),
        (("--baseline", "flux_1", "--file", "https://example.org/m"), "NAME=VALUE"),
        (("--baseline", "flux_1", "--file", "m=http://example.org/m"), "https"),
        (("--baseline", "flux_1", "--sha256", f"m={'0' * 64}"), "no --file names"),
    ],
)
def test_what_would_not_be_valid_is_not_added(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    status, _, said = command("models", "add", "Mine", *arguments)
    assert status == 2
    assert complaint in said
    assert not (tmp_path / "models.toml").exists()


def test_check_compares_with_what_workers_offer(command: Command, tmp_path: Path) -> None:
    offer(tmp_path, "AlbedoBase XL (SDXL)", "Odd")
    status, said, _ = command("models", "check", "--json")
    assert status == 0
    (told,) = as_json(said)
    assert (told["offered"], told["unknown"]) == (2, ["Odd"])
    assert "SDXL 1.0" in told["unserved"]
    assert "AlbedoBase XL (SDXL)" not in told["unserved"]
    assert "not in the catalogue: Odd" in command("models", "check")[1]


def test_check_compares_files_with_their_sums(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "m").write_bytes(b"whole")
    right = hashlib.sha256(b"whole").hexdigest()
    for name, digest in (("Right", right), ("Wrong", "0" * 64)):
        command(
            *("models", "add", name, "--baseline", "flux_1"),
            *("--file", "m=https://example.org/m", "--sha256", f"m={digest}"),
        )
    check = ("models", "check", "--folder", str(folder))
    status, said, _ = command(*check, "--model", "Right")
    assert (status, "is whole" in said) == (0, True)
    status, said, _ = command(*check)
    assert (status, "Wrong" in said, "another SHA-256" in said) == (1, True, True)
    assert "albedo_base_xl.safetensors" in said
    assert command(*check, "--model", "Nobody's")[0] == 2
    assert command("models", "check", "--folder", str(tmp_path / "none"))[0] == 2


def test_check_without_an_installation_says_so(command: Command) -> None:
    status, _, said = command("models", "check")
    assert status == 1
    assert "There is no ledger" in said


def test_modes_are_changed_and_shown_at_the_machine(command: Command, tmp_path: Path) -> None:
    assembled(Settings(data=tmp_path)).close()
    status, said, _ = command("modes")
    assert (status, said.count(" off")) == (0, 3)
    expected = {"maintenance": True, "invite_only": False, "raid": True}
    _, said, _ = command("modes", "--maintenance", "on", "--raid", "on", "--json")
    assert as_json(said) == [expected]
    assert as_json(command("modes", "--json")[1]) == [expected]
    command("modes", "--maintenance", "off")
    assert as_json(command("modes", "--json")[1]) == [expected | {"maintenance": False}]
