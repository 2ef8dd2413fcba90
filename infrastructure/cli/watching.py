"""Watching a request until no more of it will come, on a server that may come and go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from infrastructure.cli.output import Output
from infrastructure.cli.v2_client import Checked, ServerRefused, ServerUnreachable, V2Client

PATIENCE_SECONDS = 60.0
"""How long a server may stay away before watching ends; the request itself loses nothing."""

_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


class Shown(Protocol):
    """Where progress is shown."""

    def progress(self, checked: Checked) -> None:
        """Show how far it is."""

    def away(self, reason: str) -> None:
        """Show that the server does not answer now."""


def watch(
    client: V2Client,
    request_id: str,
    shown: Shown,
    *,
    interval: float = 0.5,
    patience: float = PATIENCE_SECONDS,
    within: float = math.inf,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Checked:
    """Ask how far a request is until it is done, and return the last answer.

    :param interval: seconds between two questions.
    :param patience: seconds that the server may stay away.
    :param within: seconds after which watching ends, done or not; the caller looks at the answer.
    :raises ServerUnreachable, ServerRefused: when it stays away longer, or will not say.
    """
    started = answered = clock()
    while True:
        try:
            checked = client.check(request_id)
        except (ServerUnreachable, ServerRefused) as error:
            if isinstance(error, ServerRefused) and error.status not in _TRY_AGAIN:
                raise
            if clock() - answered > patience:
                raise
            shown.away(str(error))
        else:
            answered = clock()
            shown.progress(checked)
            if checked.done or checked.faulted or clock() - started > within:
                return checked
        pause(interval)


class ProgressBar:
    """A bar with the server's own counts, for terminals; use it as a context manager."""

    def __init__(self, console: Console, images: int) -> None:
        """Prepare a bar of so many images."""
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            transient=False,
        )
        self._task = self._bar.add_task("asked", total=images)

    def __enter__(self) -> Self:
        """Show it."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave it as it is now."""
        self._bar.stop()

    def progress(self, checked: Checked) -> None:
        """Show the counts."""
        words = counts_of(checked)
        if checked.wait_time and not checked.done:
            words += f" · about {checked.wait_time} s to go"
        self._bar.update(self._task, completed=checked.finished, description=words)

    def away(self, reason: str) -> None:
        """Show that the server does not answer."""
        self._bar.update(self._task, description="the server does not answer; trying again")


class ProgressLines:
    """A line for each change, for pipes, or a JSON object; use it as a context manager."""

    def __init__(self, output: Output) -> None:
        """Prepare to write."""
        self._output = output
        self._last = ""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is held."""

    def progress(self, checked: Checked) -> None:
        """Write the counts if they changed."""
        if self._is_news(counts_of(checked)):
            self._output.record({"type": "progress", **checked.model_dump()})

    def away(self, reason: str) -> None:
        """Write once that the server does not answer."""
        if self._is_news("the server does not answer; trying again"):
            self._output.record({"type": "away", "message": reason})

    def _is_news(self, line: str) -> bool:
        if line == self._last:
            return False
        self._last = line
        self._output.remark(line, style="")
        return True


def progress_on(output: Output, images: int) -> ProgressBar | ProgressLines:
    """Return the bar or the lines, whichever suits where remarks go."""
    if output.remarks.is_terminal and not output.as_json:
        return ProgressBar(output.remarks, images)
    return ProgressLines(output)


def counts_of(checked: Checked) -> str:
    """Return the server's counts in a few words."""
    parts = [
        f"{checked.waiting} waiting",
        f"{checked.processing} at work",
        f"{checked.finished} finished",
    ]
    if checked.restarted:
        parts.append(f"{checked.restarted} lost and begun again")
    if checked.waiting and checked.queue_position > 1:
        parts.append(f"{checked.queue_position - 1} before us")
    if not checked.is_possible and checked.waiting:
        parts.append("no worker that may make them is here yet")
    return " · ".join(parts)
