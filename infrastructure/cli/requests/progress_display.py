"""Shows the progress of a request: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from infrastructure.cli.requests.api_client import Checked
from infrastructure.cli.terminal.output import Output


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of a job."""

    job: str
    images: int
    """How many it makes."""
    step: int
    steps: int


class ProgressDisplay(Protocol):
    """Shows progress."""

    def progress(self, checked: Checked) -> None:
        """Show the counts."""

    def step(self, step: Step) -> None:
        """Show the progress of one of its jobs."""

    def away(self, reason: str) -> None:
        """Show that the server does not answer now."""


class ProgressBar:
    """A bar with the server's own counts, for terminals; use it as a context manager."""

    def __init__(self, console: Console, images: int) -> None:
        """Prepare a bar of so many images."""
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            # The bar itself moves with each step.
            TextColumn("{task.fields[finished]}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            transient=False,
        )
        self._task = self._bar.add_task("requested", total=images, finished=0)
        self._counts: Checked | None = None
        self._steps: dict[str, Step] = {}

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
        self._counts = checked
        if not checked.processing:
            self._steps.clear()
        self._draw(checked)

    def step(self, step: Step) -> None:
        """Show the progress of a job."""
        if step.job not in self._steps:
            # The images of those that made all their steps are counted, or will be at once.
            self._steps = {
                job: known for job, known in self._steps.items() if known.step < known.steps
            }
        self._steps[step.job] = step
        if self._counts is not None:
            self._draw(self._counts)

    def _draw(self, checked: Checked) -> None:
        words = counts_of(checked)
        if self._steps:
            latest = next(reversed(self._steps.values()))
            words += f" · step {latest.step} of {latest.steps}"
        elif checked.wait_time and not checked.done:
            words += f" · about {checked.wait_time} s to go"
        made = sum(each.images * each.step / each.steps for each in self._steps.values())
        self._bar.update(
            self._task,
            completed=checked.finished + min(made, checked.processing),
            finished=checked.finished,
            description=words,
        )

    def away(self, reason: str) -> None:
        """Show that the server does not answer."""
        self._bar.update(self._task, description="the server does not answer; retrying")


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

    def step(self, step: Step) -> None:
        """Write the progress of a job, in JSON mode only."""
        self._output.record({"type": "step", **asdict(step)})

    def away(self, reason: str) -> None:
        """Write once that the server does not answer."""
        if self._is_news("the server does not answer; retrying"):
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
        parts.append(f"{checked.restarted} lost and restarted")
    if checked.waiting and checked.queue_position > 1:
        parts.append(f"{checked.queue_position - 1} ahead of us")
    if not checked.is_possible and checked.waiting:
        parts.append("no suitable worker yet")
    return " · ".join(parts)
