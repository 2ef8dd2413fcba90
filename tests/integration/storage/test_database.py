"""What a database promises: transactions that nest, reads that only read, and no lost writer."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from infrastructure.storage.database import (
    Database,
    ForkedInUse,
    GroupFailed,
    TransactionDoomed,
    normalised_url,
)
from infrastructure.storage.schema import migrate_ledger, migrate_views
from infrastructure.storage.sqlite_backend import SqliteFileBackend
from tests.paths import ROOT
from tests.servers import PostgresServer
from tests.waiting import wait_until

PATIENCE_SECONDS = 60.0


def open_database(kind: str, request: pytest.FixtureRequest) -> tuple[Database, str]:
    if kind == "postgres":
        url: str = request.getfixturevalue("postgres_url")
    elif kind == "file":
        tmp_path: Path = request.getfixturevalue("tmp_path")
        url = f"sqlite:///{tmp_path}/some.db"
    else:
        url = "sqlite://"
    database = Database(url)
    request.addfinalizer(database.close)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE item (name VARCHAR(40) PRIMARY KEY)"))
    return database, url


@pytest.fixture(params=["memory", "file", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    return open_database(request.param, request)[0]


@pytest.fixture
def file_database(request: pytest.FixtureRequest) -> Database:
    return open_database("file", request)[0]


@pytest.fixture(params=["file", "postgres"])
def shared_url(request: pytest.FixtureRequest) -> str:
    return open_database(request.param, request)[1]


def add(database: Database, name: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO item VALUES (:name)"), {"name": name})


def names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(text("SELECT name FROM item ORDER BY name")).scalars())


# --- transactions -------------------------------------------------------------------------------


def test_a_transaction_is_committed_at_its_end(database: Database) -> None:
    open_at = []
    with database.transaction():
        add(database, "a")
        add(database, "b")
        open_at.append(database.in_transaction)
    open_at.append(database.in_transaction)
    assert open_at == [True, False]
    assert names(database) == ["a", "b"]


def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    def fail_late() -> None:
        with database.transaction():
            add(database, "a")
            with database.transaction():
                add(database, "b")
            raise LookupError

    with pytest.raises(LookupError):
        fail_late()
    assert names(database) == []
    add(database, "a")
    assert names(database) == ["a"]


def test_a_swallowed_inner_failure_undoes_the_outer_transaction(database: Database) -> None:
    def swallow() -> None:
        with database.transaction():
            add(database, "a")
            try:
                with database.transaction():
                    raise LookupError
            except LookupError:
                add(database, "b")

    with pytest.raises(TransactionDoomed):
        swallow()
    assert names(database) == []


def test_reading_in_a_transaction_sees_its_changes(database: Database) -> None:
    with database.transaction():
        add(database, "a")
        assert names(database) == ["a"]


def test_others_do_not_see_an_open_transaction(shared_url: str) -> None:
    database = Database(shared_url)
    with database.transaction(), ThreadPoolExecutor(1) as pool:
        add(database, "a")
        assert pool.submit(names, database).result(PATIENCE_SECONDS) == []
        other = Database(shared_url)
        assert pool.submit(names, other).result(PATIENCE_SECONDS) == []
        other.close()
    assert names(database) == ["a"]
    database.close()


def test_reading_never_writes(database: Database) -> None:
    with pytest.raises(DBAPIError), database.reading() as connection:
        connection.execute(text("INSERT INTO item VALUES ('a')"))
    assert names(database) == []
    add(database, "b")
    assert names(database) == ["b"]


def test_reading_nests(database: Database) -> None:
    add(database, "a")
    with database.reading() as outer:
        assert names(database) == ["a"]
        assert outer.execute(text("SELECT count(*) FROM item")).scalar_one() == 1


def test_notes_last_as_long_as_the_transaction(database: Database) -> None:
    with database.transaction():
        database.transaction_notes["a"] = 1
        with database.transaction():
            assert database.transaction_notes == {"a": 1}
    with database.transaction():
        assert database.transaction_notes == {}
    with pytest.raises(RuntimeError, match="no transaction"):
        _ = database.transaction_notes


def test_an_error_does_not_tell_the_values(database: Database) -> None:
    add(database, "a secret prompt")
    with pytest.raises(SQLAlchemyError) as raised:
        add(database, "a secret prompt")
    assert "INSERT INTO item" in str(raised.value)
    assert "parameters hidden" in str(raised.value)


def test_threads_count_without_losing_one(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count(_: int) -> None:
        for _ in range(25):
            with database.transaction() as connection:
                lock = "" if database.is_sqlite else " FOR UPDATE"
                value = connection.execute(text(f"SELECT value FROM counter{lock}")).scalar_one()
                connection.execute(text("UPDATE counter SET value = :v"), {"v": value + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    with database.reading() as connection:
        assert connection.execute(text("SELECT value FROM counter")).scalar_one() == 200


# --- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg(scheme: str) -> None:
    assert normalised_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["mysql://u@h/d", "postgresql+asyncpg://u@h/d", "ledger.db", ""])
def test_other_databases_are_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        Database(url)


def test_a_refused_url_does_not_tell_its_password() -> None:
    with pytest.raises(ValueError, match="no support") as raised:
        Database("mysql://user:swordfish@host/db")
    assert "swordfish" not in str(raised.value)


# --- SQLite: commits shared by threads ----------------------------------------------------------


def backend_of(database: Database) -> SqliteFileBackend:
    backend = database._backend
    assert isinstance(backend, SqliteFileBackend)
    return backend


def has_queue_of(backend: SqliteFileBackend, length: int) -> bool:
    return backend._waiting == length


def run_together(database: Database, *works: Callable[[], None]) -> list[Exception | None]:
    """Run each piece of work in a thread of its own, all of them queueing behind the first.

    Returns what each raised; the first place is the transaction that the others waited for.
    """
    backend = backend_of(database)
    opened, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.transaction():
            opened.set()
            assert release.wait(PATIENCE_SECONDS)

    outcomes: list[Exception | None] = [None] * (len(works) + 1)

    def run(place: int, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate((hold, *works))]
    threads[0].start()
    assert opened.wait(PATIENCE_SECONDS)
    for queued, thread in enumerate(threads[1:], start=1):
        thread.start()
        wait_until(partial(has_queue_of, backend, queued), "a thread to queue")
    release.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    return outcomes


def test_transactions_that_wait_share_one_commit(file_database: Database, tmp_path: Path) -> None:
    commits: list[None] = []
    event.listen(file_database.engine, "commit", lambda _: commits.append(None))

    def add_and_look(name: str) -> Callable[[], None]:
        def work() -> None:
            add(file_database, name)
            # On return it is committed: a stranger sees it.
            with contextlib.closing(sqlite3.connect(tmp_path / "some.db")) as stranger:
                found = stranger.execute("SELECT 1 FROM item WHERE name = ?", (name,)).fetchall()
            assert found == [(1,)]

        return work

    outcomes = run_together(file_database, *(add_and_look(name) for name in "abcd"))
    assert outcomes == [None] * 5
    assert names(file_database) == ["a", "b", "c", "d"]
    assert len(commits) == 1


def test_a_commit_is_shared_by_so_many_and_no_more(file_database: Database) -> None:
    commits: list[None] = []
    event.listen(file_database.engine, "commit", lambda _: commits.append(None))
    works = [partial(add, file_database, str(name)) for name in range(70)]
    assert run_together(file_database, *works) == [None] * 71
    assert len(names(file_database)) == 70
    assert len(commits) == 2


def test_a_transaction_that_fails_in_a_shared_commit_fails_alone(file_database: Database) -> None:
    def add_and_fail() -> None:
        with file_database.transaction():
            add(file_database, "never")
            raise LookupError

    outcomes = run_together(
        file_database,
        lambda: add(file_database, "a"),
        add_and_fail,
        lambda: add(file_database, "b"),
        add_and_fail,
    )
    assert [type(outcome) for outcome in outcomes[1:]] == [
        type(None),
        LookupError,
        type(None),
        LookupError,
    ]
    assert names(file_database) == ["a", "b"]


def test_a_thread_does_not_wait_for_ever_for_its_turn(
    file_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.storage.sqlite_backend._BUSY_SECONDS", 0.05)
    with ThreadPoolExecutor(4) as pool:
        with file_database.transaction():
            for turn in [pool.submit(add, file_database, name) for name in "abcd"]:
                with pytest.raises(SQLAlchemyError, match="other threads"):
                    turn.result(PATIENCE_SECONDS)
        pool.submit(add, file_database, "e").result(PATIENCE_SECONDS)
    assert names(file_database) == ["e"]


@pytest.mark.parametrize("bad_place", [0, 1])
def test_a_shared_commit_that_fails_fails_all_of_them(
    file_database: Database, bad_place: int
) -> None:
    with file_database.transaction() as connection:
        connection.execute(
            text(
                "CREATE TABLE part (item VARCHAR(40)"
                " REFERENCES item (name) DEFERRABLE INITIALLY DEFERRED)"
            )
        )

    def add_orphan() -> None:
        with file_database.transaction() as connection:
            connection.execute(text("INSERT INTO part VALUES ('nothing')"))

    works = [lambda: add(file_database, "a")]
    works.insert(bad_place, add_orphan)
    outcomes = run_together(file_database, *works)
    # The one that happened to be last made the commit and knows why it failed.
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        GroupFailed.__name__,
        GroupFailed.__name__,
        IntegrityError.__name__,
    ]
    assert names(file_database) == []
    add(file_database, "b")
    assert names(file_database) == ["b"]


def test_a_commit_left_to_a_thread_that_never_comes_is_made(file_database: Database) -> None:
    backend_of(file_database)._waiting += 1
    add(file_database, "a")
    assert names(file_database) == ["a"]


# --- several processes --------------------------------------------------------------------------


COUNTING = """
import sys
from sqlalchemy import text
from infrastructure.storage.database import Database

database = Database(sys.argv[1])
for _ in range(50):
    with database.transaction() as connection:
        value = connection.execute(text("SELECT value FROM counter")).scalar_one()
        connection.execute(text("UPDATE counter SET value = :v"), {"v": value + 1})
database.close()
"""

KILLED_WITH_A_CHILD = """
import os, sys, time
from sqlalchemy import text
from infrastructure.storage.database import Database

database = Database(sys.argv[1])
with database.transaction() as connection:
    connection.execute(text("INSERT INTO item VALUES ('never')"))
    if (child := os.fork()) == 0:
        time.sleep(600)
    print(child, flush=True)
    time.sleep(600)
"""


def test_processes_count_without_losing_one(file_database: Database, tmp_path: Path) -> None:
    with file_database.transaction() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    url = f"sqlite:///{tmp_path}/some.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTING, url], cwd=ROOT) for _ in range(4)
    ]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0] * 4
    with file_database.reading() as connection:
        assert connection.execute(text("SELECT value FROM counter")).scalar_one() == 200


def test_the_write_lock_dies_with_its_process_though_a_child_lives(shared_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WITH_A_CHILD, shared_url], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        try:
            database = Database(shared_url)
            add(database, "a")
            assert names(database) == ["a"]
            database.close()
        finally:
            os.kill(child, signal.SIGKILL)


@contextlib.contextmanager
def forked_child(work: Callable[[], None]) -> Iterator[None]:
    """Run ``work`` in a forked child meanwhile; it must finish without raising."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status: list[int] = []

    def ended() -> bool:
        pid, code = os.waitpid(child, os.WNOHANG)
        status.extend([code] if pid else [])
        return bool(pid)

    try:
        yield
        wait_until(ended, "the child to end")
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    assert status == [0]


def test_a_forked_child_goes_on_using_the_database(shared_url: str) -> None:
    database = Database(shared_url)
    add(database, "before")
    assert names(database) == ["before"]

    def in_child() -> None:
        assert names(database) == ["before"]
        add(database, "child")
        database.close()

    with forked_child(in_child):
        pass
    add(database, "after")
    assert names(database) == ["after", "before", "child"]
    database.close()


def test_a_forked_child_has_connections_of_its_own(postgres_url: str) -> None:
    database = Database(postgres_url)

    def backends() -> list[int]:
        ask = text("SELECT pg_backend_pid()")
        with database.transaction() as writing, ThreadPoolExecutor(1) as pool:
            return [writing.execute(ask).scalar_one(), pool.submit(read_backend).result()]

    def read_backend() -> int:
        with database.reading() as reading:
            pid: int = reading.execute(text("SELECT pg_backend_pid()")).scalar_one()
            return pid

    inherited = backends()

    def in_child() -> None:
        assert set(inherited).isdisjoint(backends())

    with forked_child(in_child):
        pass
    assert backends() == inherited
    database.close()


def test_a_child_forked_in_a_transaction_is_not_in_it(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE item (name VARCHAR(40) PRIMARY KEY)"))

    def in_child() -> None:
        assert not database.in_transaction
        assert names(database) == []
        add(database, "child")

    with database.transaction():
        add(database, "parent")
        with forked_child(in_child):
            pass
    assert names(database) == ["child", "parent"]
    database.close()


def test_a_child_forked_while_sqlite_was_in_use_is_refused(file_database: Database) -> None:
    def in_child() -> None:
        with pytest.raises(ForkedInUse):
            names(file_database)
        with pytest.raises(ForkedInUse):
            add(file_database, "child")

    with file_database.transaction():
        add(file_database, "a")
        with forked_child(in_child):
            pass
    with file_database.reading(), forked_child(in_child):
        pass
    assert names(file_database) == ["a"]


# --- PostgreSQL: a server that goes away --------------------------------------------------------


def test_a_restarted_server_is_survived(postgres_server: PostgresServer, postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE item (name VARCHAR(40) PRIMARY KEY)"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: add(database, name), "abcd"))
        list(pool.map(lambda _: names(database), range(4)))
    postgres_server.stop()
    postgres_server.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: add(database, name), "efgh"))
        found = list(pool.map(lambda _: names(database), range(4)))
    assert found == [list("abcdefgh")] * 4
    database.close()


def test_a_connection_lost_in_a_transaction_fails_it_and_no_other(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = Database(postgres_url)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE item (name VARCHAR(40) PRIMARY KEY)"))

    def lose_connection() -> None:
        with database.transaction() as connection:
            add(database, "never")
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with postgres_server.connect() as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", (own,))
            add(database, "never either")

    with pytest.raises(OperationalError):
        lose_connection()
    add(database, "a")
    assert names(database) == ["a"]
    database.close()


# --- migrations ---------------------------------------------------------------------------------


def tables_of(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def test_both_histories_live_in_one_database(database: Database) -> None:
    for _ in range(2):
        migrate_ledger(database)
        migrate_views(database)
    assert {"event", "log_epoch", "personal_key", "ledger_schema_version"} <= tables_of(database)


def test_processes_that_start_at_once_migrate_once(shared_url: str) -> None:
    databases = [Database(shared_url) for _ in range(6)]

    def start(database: Database) -> None:
        migrate_ledger(database)
        migrate_views(database)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(start, databases))
    with databases[0].reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM log_epoch")).scalar_one() == 1
    for database in databases:
        database.close()
