"""``hoard projections``: shows, verifies and rebuilds views."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import CliError
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.output import Column, Output, counted

app = typer.Typer(help="Show, verify and rebuild views.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A view, or `all`.", show_default=False)]


@app.callback()
def _projections() -> None:
    """Show, verify and rebuild views."""


@app.command()
def status(data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Show each view's position in the log, its lag in events, and its rows."""
    from infrastructure.cli.projections.served_views import MOST_COUNTED, state_of, views_of

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        states = [state_of(hoard, served) for served in views_of(hoard)]
        last = hoard.storage.log.last_position()
    for state in states:
        output.record(dataclasses.asdict(state))
    output.table(
        [
            Column("view"),
            Column("changes"),
            Column("position", right=True),
            Column("events behind", right=True),
            Column("rows", right=True),
        ],
        [
            (
                state.view,
                state.changes,
                state.position,
                f"{state.behind} or more" if state.behind == MOST_COUNTED else state.behind,
                state.rows,
            )
            for state in states
        ],
    )
    output.remark(f"The last event of the log is at position {last}.")


@app.command()
def rebuild(name: Name, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Replay a view from the first event and replace the served view.

    The old one is served until the new one is complete.
    """
    from infrastructure.cli.projections.replay import ReplayBar
    from infrastructure.cli.projections.served_views import chosen
    from projections.following.rebuild import rebuild as replay

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        for served in chosen(hoard, name):
            with ReplayBar(output, f"replaying {served.name}") as bar:
                rows = replay(served.view, hoard.storage.log, served.database, bar.progress)
            output.record({"view": served.name, "rebuilt": True, "rows": rows})
            output.tick(f"{served.name} is rebuilt: {counted(rows, 'row')}")


@app.command()
def verify(name: Name, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Replay a view from the first event and compare it with the served view, row by row.

    Exit status 1 when a row differs.
    """
    from infrastructure.cli.projections.replay import verified
    from infrastructure.cli.projections.served_views import chosen

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        wrong = [
            served.name for served in chosen(hoard, name) if not verified(hoard, served, output)
        ]
    if wrong:
        raise CliError(
            f"Different from the events: {', '.join(wrong)}.",
            advice=f"`hoard projections rebuild {wrong[0]}` replaces it.",
        )
