"""``hoard replicate``: reproduces an image from its history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from infrastructure.cli.requests.generate import (
    CLIENT_AGENT,
    INTERRUPTED,
    announce,
    sigterm_as_ctrl_c,
    watched,
)
from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.options import usable_key
from infrastructure.cli.terminal.output import Output, printable

if TYPE_CHECKING:
    from infrastructure.cli.requests.api_client import Generation, V2Client

_FOLDER = Path("images")
_COMPARISON = "replica:"
"""The start of the text with which a worker compares the image with the first one."""


def replicate(
    image_id: Annotated[
        str,
        typer.Argument(help="Id of the image, from the status of its request.", show_default=False),
    ],
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Run its whole batch again, for identical bits.",
            show_default=False,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to save it in; default images/ID-replica with the image's suffix.",
            show_default=False,
        ),
    ] = None,
    url: options.Url = None,
    key: options.Key = None,
    as_json: options.AsJson = False,
) -> None:
    """Reproduce an image and compare it with the recorded one. Ctrl-C cancels."""
    from infrastructure.cli.requests.api_client import V2Client
    from infrastructure.keys.api_keys import ANONYMOUS_KEY
    from infrastructure.settings.environment import load_settings

    wanted = _image_id(image_id)
    console = Output(as_json=as_json)
    with (
        V2Client(
            url or load_settings().base_url,
            usable_key(key or ANONYMOUS_KEY),
            client_agent=CLIENT_AGENT,
        ) as client,
        sigterm_as_ctrl_c(),
    ):
        accepted = client.request_images({"replicate": str(wanted), "exact": exact, "r2": True})
        announce(accepted, 1, console)
        status, interrupted = watched(client, accepted.id, 1, console)
        for generation in status.generations:
            _keep(client, generation, wanted, output, console)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not status.generations:
        raise CliError(
            "The image was not made; the request "
            + ("ended as faulted." if status.faulted else "ended before."),
            advice=f"`hoard events --request {accepted.id}` shows its history.",
        )


def _image_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CliError(
            f"{printable(text)} is not an image id.",
            advice="The status of a request has the ids; so has `hoard generate --json`.",
            exit_status=WRONGLY_ASKED,
        ) from None


def _keep(
    client: V2Client, generation: Generation, wanted: UUID, file: Path | None, console: Output
) -> None:
    """Save the image, and write its path and its comparison."""
    from infrastructure.cli.requests.pictures import suffix_of, write_new

    content = client.image(generation)
    path = file or _FOLDER / f"{wanted}-replica{suffix_of(content)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path = write_new(path, content)
    equality = _equality_of(generation)
    console.record(
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
    console.say(str(path))
    if generation.state != "ok":
        console.remark(f"It came as {printable(generation.state)}.", style="yellow")
    console.remark(printable(equality) if equality else "Its worker did not compare it.", style="")


def _equality_of(generation: Generation) -> str | None:
    for remark in generation.gen_metadata:
        said = remark.ref or ""
        if remark.type == "information" and said.startswith(_COMPARISON):
            return said
    return None
