"""``hoard replicate``: have an image made again from what the history says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from infrastructure.cli.requests.generate import CLIENT_AGENT, INTERRUPTED, announce, watched
from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.output import Output, printable

if TYPE_CHECKING:
    from infrastructure.cli.requests.api_client import Generation, V2Client

_FOLDER = Path("images")
_SAID_OF_EQUALITY = "replica:"
"""How the words begin in which a worker says how equal the image is to the first one."""


def replicate(
    image_id: Annotated[
        str, typer.Argument(help="The id of the image, as its status told it.", show_default=False)
    ],
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Run its whole batch again, so that the same bits come out.",
            show_default=False,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to save it; default images/ID-replica and what it is.",
            show_default=False,
        ),
    ] = None,
    url: options.Url = None,
    key: options.Key = None,
    as_json: options.AsJson = False,
) -> None:
    """Make an image again that was made in a batch, and say how equal it is. Ctrl-C cancels."""
    from infrastructure.cli.requests.api_client import V2Client
    from infrastructure.keys.api_keys import ANONYMOUS_KEY
    from infrastructure.settings.environment import load_settings

    wanted = _image_id(image_id)
    told = Output(as_json=as_json)
    with V2Client(
        url or load_settings().base_url, key or ANONYMOUS_KEY, client_agent=CLIENT_AGENT
    ) as client:
        accepted = client.request_images({"replicate": str(wanted), "exact": exact, "r2": True})
        announce(accepted, 1, told)
        status, interrupted = watched(client, accepted.id, 1, told)
        for generation in status.generations:
            _keep(client, generation, wanted, output, told)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not status.generations:
        raise CliError(
            "The image was not made; the request "
            + ("was given up as faulted." if status.faulted else "ended before."),
            advice=f"`hoard events --request {accepted.id}` says what happened.",
        )


def _image_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CliError(
            f"{printable(text)} is no id of an image.",
            advice="Ids stand in the status of a request; `hoard generate --json` tells them too.",
            exit_status=WRONGLY_ASKED,
        ) from None


def _keep(
    client: V2Client, generation: Generation, wanted: UUID, file: Path | None, told: Output
) -> None:
    """Save the image, write where, and tell what its metadata says of equality."""
    from infrastructure.cli.requests.pictures import suffix_of

    content = client.image(generation)
    path = file or _FOLDER / f"{wanted}-replica{suffix_of(content)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    equality = _equality_of(generation)
    told.record(
        {
            "type": "image",
            "path": str(path),
            "id": generation.id,
            "replicates": str(wanted),
            "seed": generation.seed,
            "worker": generation.worker_name,
            "model": generation.model,
            "state": generation.state,
            "equality": equality,
        }
    )
    told.say(str(path))
    if generation.state != "ok":
        told.remark(f"It came as {printable(generation.state)}.", style="yellow")
    told.remark(
        printable(equality) if equality else "Its worker did not say how equal it is.", style=""
    )


def _equality_of(generation: Generation) -> str | None:
    for remark in generation.gen_metadata:
        said = remark.ref or ""
        if remark.type == "information" and said.startswith(_SAID_OF_EQUALITY):
            return said
    return None
