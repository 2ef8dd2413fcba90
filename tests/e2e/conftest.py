"""Fixtures of the tests of the whole program: to start it costs more than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.program import Program
from tests.webhook_world import LOOPBACK


@pytest.fixture(scope="session")
def served_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program without workers for all tests of a process, stopped in order at the end."""
    folder = tmp_path_factory.mktemp("served")
    settings = {"kudos_upfront": False, "permit_networks": LOOPBACK}
    with Program(folder / "data", workers=0, **settings) as program:
        yield program
        assert program.stop() == 0


@pytest.fixture
def served(served_program: Program) -> Program:
    """The same, as the one before left it: with nothing to do, and running."""
    if served_program.process is None:
        served_program.start()
    return served_program
