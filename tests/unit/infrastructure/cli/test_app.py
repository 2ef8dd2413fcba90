"""The command line itself: help, version, and how it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.cli.app import run

GROUPS = [
    "demo",
    "up",
    "worker",
    "generate",
    "replicate",
    "events",
    "projections",
    "accounts",
    "webhooks",
    "return-codes",
]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f" {group} " in said for group in GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], group: str) -> None:
    assert run([group, "--help"]) == 0
    assert "Usage: hoard" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hoard ")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["events", "--limit", "0"], ["accounts", "create"], ["up", "--port", "x"]],
)
def test_what_cannot_be_meant_is_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Usage" in said.err


def test_a_setting_without_a_usable_value_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOARD_PORT", "http")
    assert run(["events", "--data", str(tmp_path)]) == 2
    assert "HOARD_PORT" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOARD_LEDGER_URL", f"postgresql://hoard:hush@/x?host={tmp_path}")
    assert run(["events", "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "The database cannot be used" in said
    assert "HOARD_LEDGER_URL" in said
    assert "hush" not in said


def test_a_file_that_is_no_database_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ledger.db").write_text("this is a letter, and not a database of any kind\n" * 9)
    assert run(["events", "--data", str(tmp_path)]) == 1
    assert "The database cannot be used" in capsys.readouterr().err


def test_help_answers_without_loading_the_engine_or_the_databases() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from infrastructure.cli.app import run\n"
            "run(['--version'])\n"
            "print(sorted({'torch', 'sqlalchemy', 'fastapi', 'celery'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    shown = subprocess.run(
        f"{sys.executable} -m infrastructure.cli --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in shown.stderr
