"""A part that Hoard needs and cannot use now is no defect: 503, and a time to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.integration.api_client import Answered, serving
from tests.servers import PostgresServer

WHAT_READS = [
    ("GET", "/generate/check/{}"),
    ("GET", "/generate/status/{}"),
    ("DELETE", "/generate/status/{}"),
    ("GET", "/generate/events/{}"),
    ("GET", "/users"),
]


def assert_unavailable(answered: Answered) -> None:
    assert (answered.status, answered.rc) == (503, "ServiceUnavailable")
    assert int(answered.headers["retry-after"]) > 0
    assert answered.headers["access-control-allow-origin"] == "*"


def test_a_database_that_is_full(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        request_id = api.asked()
        with api.hoard.storage.ledger_database.transaction() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        # A writer that failed is replaced by one that may grow again.
        answers = (api.ask(prompt=f"{number} " + "word " * 7000) for number in range(9))
        assert_unavailable(next(answer for answer in answers if answer.status != 202))
        assert api.call("GET", f"/generate/check/{request_id}").status == 200
        assert api.ask().status == 202


@pytest.mark.parametrize(("method", "path"), WHAT_READS)
def test_a_database_server_that_takes_nobody(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, method: str, path: str
) -> None:
    with serving(tmp_path, database=postgres_url) as api:
        request_id = api.asked()
        with shut(postgres_server, postgres_url):
            assert_unavailable(api.ask())
            assert_unavailable(api.call(method, path.format(request_id)))
        assert api.ask().status == 202


@contextmanager
def shut(server: PostgresServer, url: str) -> Iterator[None]:
    """End all connections to a database and take no more for as long as the block runs."""
    name = str(make_url(url).database)
    with server.connect() as operator:
        _admit(operator, name, "false")
        operator.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend'",
            (name,),
        )
        try:
            yield
        finally:
            _admit(operator, name, "true")


def _admit(operator: psycopg.Connection[tuple[object, ...]], name: str, whether: str) -> None:
    operator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {whether}".encode())
