"""Replays of views: their progress, and verifying one."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from infrastructure.bootstrap import Hoard
from infrastructure.cli.projections.served_views import ServedView
from infrastructure.cli.terminal.output import Output, counted, printable
from projections.following.rebuild import Report, verify


class ReplayBar:
    """The progress of one replay, on a terminal only; a context manager."""

    def __init__(self, output: Output, title: str) -> None:
        """Prepare a bar where remarks go, if that is a terminal."""
        self._bar: Progress | None = None
        if output.remarks.is_terminal and not output.as_json:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=output.remarks,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Self:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove it."""
        if self._bar is not None:
            self._bar.stop()

    def progress(self, position: int, target: int) -> None:
        """Show the position that was reached, of the one to reach."""
        if self._bar is not None:
            self._bar.update(self._task, completed=position, total=target)


def verified(hoard: Hoard, served: ServedView, output: Output) -> bool:
    """Verify a view, write the result, and return whether it agrees with the events."""
    with ReplayBar(output, f"replaying {served.name}") as bar:
        report = verify(served.view, hoard.storage.log, served.database, bar.progress)
    show_report(report, output)
    return report.holds


def show_report(report: Report, output: Output) -> None:
    """Write the result of a comparison."""
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
