"""Showing how far a replay is: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from infrastructure.cli.terminal.output import Output


class ReplayBar:
    """How far one replay is; a context manager that leaves no trace when it ends."""

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
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()

    def progress(self, position: int, target: int) -> None:
        """Show the position that was reached, of the one to reach."""
        if self._bar is not None:
            self._bar.update(self._task, completed=position, total=target)
