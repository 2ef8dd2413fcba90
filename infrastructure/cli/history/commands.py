"""``hoard events``: lists the history, one event a line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.output import Output

if TYPE_CHECKING:
    from projections.view import Log, RecordedEvent

_POLL_SECONDS = 0.5


def events(
    request: Annotated[
        str | None,
        typer.Option(
            "--request",
            metavar="ID",
            help="Only this request and its jobs.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        int, typer.Option(min=0, metavar="POSITION", help="Only events after this position.")
    ] = 0,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of events; default all.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep printing new events; Ctrl-C ends it.")
    ] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """List events, one a line: position, stream, version, type, time, data.

    Prompts and addresses stay sealed.
    """
    request_id = None if request is None else _request_id(request)
    if request_id is not None and follow:
        raise CliError(
            "--follow shows all events, --request those of one request.",
            advice="Give one of the two.",
            exit_status=WRONGLY_ASKED,
        )
    output = Output(as_json=as_json)
    with opened(data) as hoard:
        if request_id is not None:
            _show_history(hoard.storage.log, request_id, after, limit, output)
        else:
            _show_log(hoard.storage.log, after, limit, follow, output)


def write_event(recorded: RecordedEvent, output: Output) -> None:
    """Write one event as its line."""
    from infrastructure.cli.history.event_lines import EventLine

    line = EventLine.of(recorded)
    if output.as_json:
        output.record(line.as_json())
    elif output.on_terminal:
        output.out.print(line.as_coloured(output.out.width))
    else:
        output.out.file.write(line.as_text() + "\n")


def _request_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CliError(
            f"{text} is not a request id.",
            advice="Ids look like 8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e; "
            "`hoard events` lists them.",
            exit_status=WRONGLY_ASKED,
        ) from None


def _show_history(
    log: Log, request_id: UUID, after: int, limit: int | None, output: Output
) -> None:
    from infrastructure.cli.history.log_reader import history_of

    history = history_of(log, request_id)
    if not history:
        raise CliError(
            f"There is no request {request_id}.", advice="`hoard events` lists all events."
        )
    for recorded in [event for event in history if event.position > after][:limit]:
        write_event(recorded, output)


def _show_log(log: Log, after: int, limit: int | None, follow: bool, output: Output) -> None:
    from infrastructure.cli.history.log_reader import history_after

    position = after
    shown = 0
    while True:
        for recorded in history_after(log, position, None if limit is None else limit - shown):
            write_event(recorded, output)
            position = recorded.position
            shown += 1
        if not follow or shown == limit:
            break
        output.out.file.flush()
        time.sleep(_POLL_SECONDS)
    if not shown:
        output.remark("No events yet." if not after else f"No events after {after}.")
