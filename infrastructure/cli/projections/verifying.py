"""Verifying one view and saying what came of it."""

from __future__ import annotations

from infrastructure.bootstrap import Hoard
from infrastructure.cli.projections.replaying import ReplayBar
from infrastructure.cli.projections.views import ServedView
from infrastructure.cli.terminal.output import Output, counted, printable
from projections.following.rebuild import Report, verify


def verified(hoard: Hoard, served: ServedView, output: Output) -> bool:
    """Return whether a view holds what the events say, and write what was found."""
    with ReplayBar(output, f"replaying {served.name}") as bar:
        report = verify(served.view, hoard.storage.log, served.database, bar.progress)
    show_report(report, output)
    return report.holds


def show_report(report: Report, output: Output) -> None:
    """Write what a comparison found."""
    output.record(
        {
            "view": report.view,
            "equal": report.holds,
            "position": report.position,
            "events": report.events,
            "rows": report.rows,
            "differences": report.differences,
        }
    )
    output.tick(
        f"{report.view}: {counted(report.rows, 'row')} served, "
        + ("the same" if report.holds else "not the same")
        + f" as {counted(report.events, 'event')} replayed, up to position {report.position}",
        holds=report.holds,
    )
    for difference in report.differences:
        output.say(f"    {printable(difference)}")
