from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from infrastructure.cli.terminal.output import Column, Output, printable

COLUMNS = [Column("view"), Column("rows", right=True)]


def output_to(
    file: StringIO, *, terminal: bool = False, as_json: bool = False, width: int = 80
) -> Output:
    console = Console(
        file=file, force_terminal=terminal, width=width, highlight=False, soft_wrap=True
    )
    return Output(as_json=as_json, out=console, remarks=console)


def test_a_pipe_gets_whole_lines_without_colour() -> None:
    file = StringIO()
    output = output_to(file, width=20)
    output.say("a line that is longer than twenty columns", style="bold red")
    assert file.getvalue() == "a line that is longer than twenty columns\n"


def test_square_brackets_are_text() -> None:
    file = StringIO()
    output_to(file).say("[red]not markup[/red]")
    assert file.getvalue() == "[red]not markup[/red]\n"


def test_a_table_in_a_pipe_is_aligned_text() -> None:
    file = StringIO()
    output_to(file, width=10).table(COLUMNS, [("queue", 7), ("directory", 12345)])
    assert file.getvalue().splitlines() == [
        "view        rows",
        "queue          7",
        "directory  12345",
    ]


def test_a_table_on_a_terminal_is_drawn() -> None:
    file = StringIO()
    output_to(file, terminal=True).table(COLUMNS, [("queue", 7)])
    assert "queue" in file.getvalue()
    assert "─" in file.getvalue()


def test_json_mode_writes_records_and_nothing_else() -> None:
    file = StringIO()
    output = output_to(file, as_json=True)
    output.say("for people")
    output.remark("for people")
    output.tick("for people")
    output.table(COLUMNS, [("queue", 7)])
    output.record({"view": "queue", "name": "naïve"})
    assert file.getvalue() == '{"view":"queue","name":"naïve"}\n'


def test_records_are_for_json_mode_only() -> None:
    file = StringIO()
    output_to(file).record({"view": "queue"})
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain naïve 日本", "plain naïve 日本"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("two\nlines\ttab", "two\\nlines\\ttab"),
        ("c1 \x9b2J", "c1 \\x9b2J"),
        ("right \u202eto left", "right \\u202eto left"),
    ],
)
def test_what_steers_a_terminal_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_cells_of_a_table_do_not_steer_a_terminal() -> None:
    file = StringIO()
    output_to(file).table([Column("worker")], [("evil \x1b]0;owned\x07",)])
    assert "\x1b" not in file.getvalue()
