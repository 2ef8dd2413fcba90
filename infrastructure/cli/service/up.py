"""``hoard up``: everything on one machine, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from infrastructure.cli.requests import generate
from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.output import Output


def up(
    data: options.Data = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port to listen on; default $HOARD_PORT, else 7001.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; default $HOARD_HOST, else 127.0.0.1.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Worker processes, one for each GPU.")
    ] = 1,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="Log to standard error instead of logs/ in the data folder."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Run API, projector, workers, webhook sender and Redis until Ctrl-C or SIGTERM.

    A restart on the same folder continues where it stopped.
    """
    from infrastructure.processes.supervisor import run_up
    from infrastructure.settings.environment import load_settings

    settings = load_settings(data=data, port=port, host=host)
    output = Output(as_json=as_json)

    def say_ready() -> None:
        output.record({"type": "ready", "url": settings.base_url, "data": str(settings.data)})
        output.say(f"Hoard is ready: {settings.base_url}/api/v2", style="bold green")
        output.say(f"  data   {settings.data}")
        if not verbose:
            output.say(f"  logs   {settings.data / 'logs'}")
        output.say(
            f'  try    hoard generate "{generate.EXAMPLE_PROMPT}" -n 4 {generate.EXAMPLE_OPTIONS}'
        )
        output.say("  stop   Ctrl-C")

    raise typer.Exit(run_up(settings, workers, say_ready, verbose=verbose))
