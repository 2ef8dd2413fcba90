"""Fixtures of the unit tests: a Hoard, and the command line on top of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.bootstrap import Hoard
from infrastructure.cli.app import run
from infrastructure.settings.environment import Settings
from tests.prepared import assembled
from tests.unit.infrastructure.cli.command_line import Command


@pytest.fixture
def hoard(tmp_path: Path) -> Iterator[Hoard]:
    """A Hoard on SQLite files in ``data``."""
    made = assembled(Settings(data=tmp_path / "data"))
    yield made
    made.close()


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``hoard`` with some arguments in this process."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return ran
