"""Fixtures of the tests that drive Hoard with an unmodified horde-sdk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# First of all: the SDK reads where its server is while it is imported.
from tests.compatibility.listening import LISTENING, URL  # isort: skip

from tests.compatibility.driven import not_sent
from tests.compatibility.server import Server, serving


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a process: each opens accounts of its own."""
    with serving(tmp_path_factory.mktemp("compatibility"), LISTENING, URL) as server:
        yield server


@pytest.fixture
def server(running: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server; afterwards a look whether what the test says it drives has arrived."""
    before, failed = len(running.noted.calls), request.session.testsfailed
    yield running
    if request.session.testsfailed == failed:
        assert not_sent(request.function, running.noted.calls[before:]) == []
