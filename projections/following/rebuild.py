"""Views are disposable: compute one anew from event one, to compare it or to put it in its place.

Both go through the view's own ``apply`` in a scratch database, while the view that is served keeps
serving and following.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Table, func, select, tuple_

from projections.following.positions import VIEW_POSITIONS
from projections.following.scratch import Scratch, scratch_of
from projections.sql.rows import insert_rows, portions_of
from projections.view import (
    INLINE_VIEWS,
    Compared,
    Log,
    RecordedEvent,
    SettlingView,
    View,
    ViewDatabase,
)

_PORTION = 1000

MOST_DIFFERENCES = 10
"""How many differences a report spells out."""

Progress = Callable[[int, int], None]
"""Called with the position reached and the position to reach."""

Portions = Iterator[Sequence[RecordedEvent]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison of a view with its history found."""

    view: str
    position: int
    """The last event that both had seen."""
    events: int
    """How many events were replayed."""
    rows: int
    """How many rows are served."""
    differences: tuple[str, ...] = ()
    """The first of the differences, one sentence each."""

    @property
    def holds(self) -> bool:
        """Whether the served rows equal the recomputed ones."""
        return not self.differences


@dataclass(slots=True)
class _Findings:
    rows: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, difference: str) -> None:
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(difference)


def verify(
    view: View, log: Log, database: ViewDatabase, progress: Progress | None = None
) -> Report:
    """Recompute a view from event one and compare every row with what is served.

    All of what is served is read as of one moment, and nobody has to wait for it. Not to be called
    within a transaction.

    :param database: where the view is served.
    """
    findings = _Findings()
    with scratch_of(view) as scratch, _snapshot(database) as served:
        if _is_inline(view):
            _replay(scratch, _committed_after(log, 0), log.last_position(), progress)
        elif position := VIEW_POSITIONS.read(served, view.name):
            _replay(scratch, _up_to(position, _final_after(log, 0)), position, progress)
        for compared in _compared(view):
            _compare(compared, served, scratch.connection, findings)
    return Report(
        view=view.name,
        position=scratch.position,
        events=scratch.events,
        rows=findings.rows,
        differences=tuple(findings.differences),
    )


def rebuild(view: View, log: Log, database: ViewDatabase, progress: Progress | None = None) -> int:
    """Recompute a view from event one, put it in the served one's place, return its rows.

    The old one serves until the new one is complete; they change places in one transaction. A view
    that follows the log then goes on from where the new one has got to. A view that changes with
    the events is locked, for writers too, while the last events and the new rows are put in.
    """
    with scratch_of(view) as scratch:
        _replay(scratch, _final_after(log, 0), log.last_position(), progress)
        with database.transaction() as connection:
            if _is_inline(view):
                _lock(view, connection)
                _replay(scratch, _committed_after(log, scratch.position), 0, None)
            else:
                VIEW_POSITIONS.lock(connection, view.name)
                VIEW_POSITIONS.set(connection, view.name, scratch.position)
            return sum(_replace(table, connection, scratch) for table in view.tables)


def _is_inline(view: View) -> bool:
    return view.name in INLINE_VIEWS


def _compared(view: View) -> Sequence[Compared]:
    if isinstance(view, SettlingView):
        return view.compared
    return [Compared.table(table) for table in view.tables]


def _replay(scratch: Scratch, portions: Portions, last: int, progress: Progress | None) -> None:
    """Apply portions of the log; ``last`` is where progress is to end."""
    for records in portions:
        scratch.apply(records)
        if isinstance(scratch.view, SettlingView):
            scratch.view.settle(scratch.connection)
        if progress is not None:
            progress(scratch.position, max(last, scratch.position))


def _up_to(last: int, portions: Portions) -> Portions:
    for records in portions:
        yield [record for record in records if record.position <= last]
        if records[-1].position >= last:
            return


def _final_after(log: Log, position: int) -> Portions:
    while records := log.after(position, _PORTION):
        yield records
        position = records[-1].position


def _committed_after(log: Log, position: int) -> Portions:
    while records := log.committed_after(position, _PORTION):
        yield records
        position = records[-1].position


@contextmanager
def _snapshot(database: ViewDatabase) -> Iterator[Connection]:
    """Read everything as of one moment, without keeping anyone from writing."""
    with database.reading() as connection:
        # A savepoint opens a transaction where none is open, and is as good where one is.
        sqlite = connection.dialect.name == "sqlite"
        begin = "SAVEPOINT moment" if sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        connection.exec_driver_sql(begin)
        try:
            yield connection
        finally:
            connection.exec_driver_sql("RELEASE moment" if sqlite else "COMMIT")


def _lock(view: View, connection: Connection) -> None:
    """Keep everybody else from changing the view until the transaction ends."""
    if connection.dialect.name != "sqlite":
        names = ", ".join(table.name for table in view.tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")


def _compare(
    compared: Compared, served: Connection, expected: Connection, findings: _Findings
) -> None:
    served_rows = found = 0
    for rows in _rows(served, compared.rows):
        served_rows += len(rows)
        by_key = {_key(compared, row): row for row in _same_keys(expected, compared, rows)}
        found += len(by_key)
        for row in rows:
            _compare_row(compared, row, by_key.get(_key(compared, row)), findings)
    findings.rows += served_rows
    if found == _count(expected, compared.rows):
        return
    for rows in _rows(expected, compared.rows):
        there = {_key(compared, row) for row in _same_keys(served, compared, rows)}
        for row in rows:
            if _key(compared, row) not in there:
                findings.add(f"{_named(compared, row)} is missing")


def _compare_row(
    compared: Compared, served: Row[Any], expected: Row[Any] | None, findings: _Findings
) -> None:
    if expected is None:
        findings.add(f"{_named(compared, served)} should not be there")
    elif tuple(served) != tuple(expected):
        wrong = "; ".join(
            f"{column.name} is {has!r} and should be {should!r}"
            for column, has, should in zip(compared.rows.c, served, expected, strict=True)
            if has != should
        )
        findings.add(f"{_named(compared, served)}: {wrong}")


def _rows(connection: Connection, source: FromClause) -> Iterator[Sequence[Row[Any]]]:
    result = connection.execute(select(source), execution_options={"yield_per": _PORTION})
    yield from result.partitions()


def _count(connection: Connection, source: FromClause) -> int:
    return connection.execute(select(func.count()).select_from(source)).scalar_one()


def _same_keys(
    connection: Connection, compared: Compared, rows: Sequence[Row[Any]]
) -> list[Row[Any]]:
    """Return the rows that have the same keys as these."""
    key = tuple_(*compared.key)
    found: list[Row[Any]] = []
    for portion in portions_of(rows):
        wanted = key.in_([_key(compared, row) for row in portion])
        found.extend(connection.execute(select(compared.rows).where(wanted)))
    return found


def _key(compared: Compared, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row._mapping[column] for column in compared.key)


def _named(compared: Compared, row: Row[Any]) -> str:
    return f"{compared.name} {', '.join(str(part) for part in _key(compared, row))}"


def _replace(table: Table, connection: Connection, scratch: Scratch) -> int:
    connection.execute(table.delete())
    rows = 0
    for portion in _rows(scratch.connection, table):
        insert_rows(connection, table, [dict(row._mapping) for row in portion])
        rows += len(portion)
    return rows
