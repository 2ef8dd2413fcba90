"""``hoard projections``: how far the views are, and whether they are what the events say."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import CliError
from infrastructure.cli.terminal.opening import opened
from infrastructure.cli.terminal.output import Column, Output, counted

app = typer.Typer(help="The views: how far they are, rebuild, verify.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A view, or `all`.", show_default=False)]


@app.callback()
def _projections() -> None:
    """The views: how far they are, rebuild, verify."""


@app.command()
def status(data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Show each view's position in the log, how far it is behind, and its rows."""
    from infrastructure.cli.projections.views import MOST_COUNTED, state_of, views_of

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
    """Replay a view from event one and put the result in the place of the served one.

    The old one serves until the new one is there.
    """
    from infrastructure.cli.projections.replaying import ReplayBar
    from infrastructure.cli.projections.views import chosen
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
    """Replay a view from event one beside the served one and compare every row.

    Exit status 1 when a row differs.
    """
    from infrastructure.cli.projections.verifying import verified
    from infrastructure.cli.projections.views import chosen

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        wrong = [
            served.name for served in chosen(hoard, name) if not verified(hoard, served, output)
        ]
    if wrong:
        raise CliError(
            f"Not what the events say: {', '.join(wrong)}.",
            advice=f"`hoard projections rebuild {wrong[0]}` puts what they say in its place.",
        )
