"""The figures as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.table import Table

from benchmarks.gpu_batch.largest import RuleRow, side_of_a_third
from benchmarks.gpu_batch.rows import Row, prices

NOT_MEASURED = "not measured"


def batches_tables(title: str, rows: Sequence[Row]) -> Iterator[Table]:
    """What batches cost, a table for each way of making them.

    An extra image is one after the first, in per cent of that.
    """
    costs = prices(rows)
    for way, group in groupby(rows, key=lambda row: row.job.alone):
        table = Table(
            title=f"{title} {way.side}x{way.side}, {way.sampler} {way.steps} steps,"
            f" cfg {way.cfg_scale:g}",
        )
        for heading in ("images", "seconds", "an image", "extra %", "peak GiB"):
            table.add_column(heading, justify="right")
        table.add_column("remark")
        for row in group:
            table.add_row(*_cells(row, costs.get(row.job)))
        yield table


def largest_table(title: str, rows: Sequence[RuleRow]) -> Table:
    """The largest batches, against the rule."""
    table = Table(title=title)
    table.add_column("maximum")
    for heading in ("fit at a third", "rule gives", "fit", "holds"):
        table.add_column(heading, justify="right")
    table.add_column("remark")
    for row in rows:
        third = side_of_a_third(row.maximum)
        table.add_row(
            f"{row.maximum}x{row.maximum}",
            "" if row.at_a_third is None else f"{row.at_a_third} of {third}x{third}",
            _number(row.handed_out),
            _number(row.at_maximum),
            {None: "", True: "yes", False: "no"}[row.holds],
            "" if row.why_not is None else f"{NOT_MEASURED}: {row.why_not}",
        )
    return table


def machine_line(machine: Mapping[str, object]) -> str:
    """The machine in one line."""
    return ", ".join(f"{what} {value}" for what, value in machine.items() if value is not None)


def _cells(row: Row, price: float | None) -> tuple[str, ...]:
    images = row.job.images
    if row.seconds is None:
        return str(images), "", "", "", "", f"{NOT_MEASURED}: {row.why_not}"
    return (
        str(images),
        f"{row.seconds:.3g}",
        f"{row.seconds / images:.3g}",
        "" if price is None else f"{price:.0f}",
        "" if row.peak_gib is None else f"{row.peak_gib:.1f}",
        row.remark or "",
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
