"""The output of a command: tables and colour on a terminal, plain text in a pipe, or JSON lines.

Results go to standard output, progress to standard error, so that a pipe carries results only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


def printable(text: str) -> str:
    """Escape characters that could control a terminal, line breaks among them.

    Names and agents come from clients.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return ascii(letter)[1:-1]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    heading: str
    right: bool = False
    """Whether it holds numbers."""


class Output:
    """Writes the results and remarks of one command."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        out: Console | None = None,
        remarks: Console | None = None,
    ) -> None:
        """Write to standard output and standard error by default."""
        self.as_json = as_json
        self.out = out or Console(highlight=False, soft_wrap=True)
        self.remarks = remarks or Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def on_terminal(self) -> bool:
        """Whether results go to a terminal, as text."""
        return self.out.is_terminal and not self.as_json

    def record(self, fields: Mapping[str, Any]) -> None:
        """Write one JSON line; only in JSON mode."""
        if self.as_json:
            self.out.file.write(orjson.dumps(fields, default=str).decode() + "\n")
            self.out.file.flush()

    def say(self, text: str | Text, *, style: str = "") -> None:
        """Write a line of the result for people; not in JSON mode."""
        if not self.as_json:
            self.out.print(_as_text(text), style=style)

    def remark(self, text: str | Text, *, style: str = "dim") -> None:
        """Write progress; not in JSON mode."""
        if not self.as_json:
            self.remarks.print(_as_text(text), style=style)

    def tick(self, text: str, *, holds: bool = True) -> None:
        """Write a check and its outcome; not in JSON mode."""
        mark = Text("✓ ", style="bold green") if holds else Text("✗ ", style="bold red")
        self.say(Text.assemble(mark, printable(text)))

    def table(
        self, columns: Sequence[Column], rows: Sequence[Sequence[object]], *, title: str = ""
    ) -> None:
        """Write rows: a table on a terminal, aligned text in a pipe; not in JSON mode."""
        cells = [[printable(str(cell)) for cell in row] for row in rows]
        if self.as_json:
            return
        if not self.out.is_terminal:
            if title:
                self.say(title)
            for line in _aligned(columns, cells):
                self.out.file.write(line + "\n")
            return
        table = Table(
            title=Text(title) if title else None,
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in columns:
            table.add_column(
                Text(column.heading), justify="right" if column.right else "left", overflow="fold"
            )
        for row in cells:
            table.add_row(*map(Text, row))
        self.out.print(table, soft_wrap=False)


def instant(moment: datetime | None) -> str:
    """Return a moment in UTC to the second, and a dash for none."""
    if moment is None:
        return "–"
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def counted(number: int, one: str) -> str:
    """Return a number with its noun, such as ``1 row`` or ``20 images``."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def _as_text(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(text)


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[column.heading for column in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]
