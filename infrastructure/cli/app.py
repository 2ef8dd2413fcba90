"""The ``hoard`` command: its groups, its version, and how it fails.

Each command imports what it needs when it runs, so that ``hoard --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from infrastructure.cli.accounts import commands as accounts
from infrastructure.cli.demo import command as demo
from infrastructure.cli.error_messages import cli_error_from
from infrastructure.cli.history import commands as history
from infrastructure.cli.models import commands as models
from infrastructure.cli.projections import commands as projections
from infrastructure.cli.requests import generate, replicate
from infrastructure.cli.return_codes import commands as return_codes
from infrastructure.cli.service import modes, up
from infrastructure.cli.terminal.output import Output
from infrastructure.cli.webhooks import commands as webhooks
from infrastructure.cli.workers import commands as worker
from infrastructure.distribution import installed_version

app = typer.Typer(
    name="hoard",
    help="An event-sourced ledger of image-generation jobs with the AI Horde v2 API.",
    epilog="Start with `hoard demo`, then `hoard up` and `hoard generate`.",
    no_args_is_help=True,
    # A pretty traceback shows local variables, and with them prompts and keys.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("generate")(generate.generate)
app.command("replicate")(replicate.replicate)
app.command("events")(history.events)
app.command("modes")(modes.modes)
app.add_typer(worker.app, name="worker")
app.add_typer(projections.app, name="projections")
app.add_typer(accounts.app, name="accounts")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(models.app, name="models")
app.add_typer(return_codes.app, name="return-codes")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hoard {installed_version() or '(not installed)'}")
        raise typer.Exit


@app.callback()
def _options(
    shown: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """An event-sourced ledger of image-generation jobs with the AI Horde v2 API."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line, without the program's name; return its exit status.

    An error with a known cause becomes a sentence and advice on standard error; any other is a
    defect of Hoard and keeps its traceback.
    """
    try:
        app(args=list(arguments), prog_name="hoard")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        known = cli_error_from(error)
        if known is None:
            raise
        output = Output()
        output.remark(f"hoard: {known.message}", style="red")
        if known.advice:
            output.remark(known.advice, style="")
        return known.exit_status
    return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
