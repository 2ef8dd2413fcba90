"""Processes that are run by hand say what they are, and refuse what they do not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infrastructure.processes.__main__ import NAMES


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_is_asked_for_help_does_not_start(name: str) -> None:
    ended = run(f"infrastructure.processes.{name}", "--help")
    assert ended.returncode == 0, ended.stderr
    assert "HOARD_" in ended.stdout


def test_what_is_no_argument_is_refused() -> None:
    assert run("infrastructure.processes.api", "--port", "80").returncode == 2


def test_the_entry_lists_the_processes() -> None:
    ended = run("infrastructure.processes", "--help")
    assert ended.returncode == 0
    assert all(name in ended.stdout for name in NAMES)
    assert run("infrastructure.processes", "nothing").returncode == 2
