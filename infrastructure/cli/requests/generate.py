"""``hoard generate``: requests images from a server and saves them."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.options import usable_key
from infrastructure.cli.terminal.output import Output, counted, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infrastructure.cli.requests.api_client import Accepted, Generation, Status, V2Client
    from infrastructure.cli.requests.pictures import Picture

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""

CLIENT_AGENT = "hoard-cli:1:unknown"

EXAMPLE_PROMPT = "a red circle on a blue background"
EXAMPLE_SAMPLER = "lcm"
EXAMPLE_STEPS = 8
EXAMPLE_CFG_SCALE = 1.5
"""What makes good images in few steps with the pipeline that ships with Hoard."""

EXAMPLE_OPTIONS = f"--sampler {EXAMPLE_SAMPLER} --steps {EXAMPLE_STEPS} --cfg {EXAMPLE_CFG_SCALE:g}"
"""The same as options of ``hoard generate``."""


def generate(
    prompt: Annotated[
        str, typer.Argument(help="What to draw; after ###, what to avoid.", show_default=False)
    ],
    images: Annotated[int, typer.Option("--n", "-n", help="Number of images, 1 to 20.")] = 1,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size in pixels, multiples of 64.")
    ] = "512x512",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the images.")] = Path(
        "images"
    ),
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps, 1 to 500.", show_default=False)
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="Sampler, such as k_euler_a or lcm.", show_default=False)
    ] = None,
    cfg: Annotated[
        float | None, typer.Option(help="Guidance scale, 0 to 100.", show_default=False)
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Seed: a number or any text.", show_default=False)
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Allowed model; repeatable.", show_default=False),
    ] = None,
    negative: Annotated[
        str | None, typer.Option(help="What to avoid; the same as after ###.", show_default=False)
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Image to start from.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Mask of the source: white is drawn anew (inpainting).",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="How far to leave the source, 0.01 to 1.", show_default=False),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:STRENGTH]",
            help="LoRA by name or id, or its exact version as version/ID; repeatable.",
            show_default=False,
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="Text under which to send this again safely.", show_default=False),
    ] = None,
    url: options.Url = None,
    key: options.Key = None,
    as_json: options.AsJson = False,
) -> None:
    """Request images and save them with a contact sheet. Ctrl-C cancels the unfinished ones."""
    from infrastructure.cli.requests.api_client import V2Client
    from infrastructure.keys.api_keys import ANONYMOUS_KEY
    from infrastructure.settings.environment import load_settings

    width, height = _size(size)
    prompt = prompt if negative is None else f"{prompt} ### {negative}"
    payload = payload_for(
        prompt,
        model or [],
        n=images,
        width=width,
        height=height,
        steps=steps,
        sampler_name=sampler,
        cfg_scale=cfg,
        seed=seed,
        denoising_strength=strength,
        loras=[_lora(text) for text in lora] if lora else None,
    ) | sources(source, mask)
    output = Output(as_json=as_json)
    with (
        V2Client(
            url or load_settings().base_url,
            usable_key(key or ANONYMOUS_KEY),
            client_agent=CLIENT_AGENT,
        ) as client,
        sigterm_as_ctrl_c(),
    ):
        accepted = client.request_images(payload, idempotency_key)
        announce(accepted, images, output, prompt=prompt)
        status, interrupted = watched(client, accepted.id, images, output)
        pictures = keep(client, status.generations, out, accepted.id, prompt, output)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if len(pictures) < images:
        raise CliError(
            f"{len(pictures)} of {images} images were made; the request "
            + ("ended as faulted." if status.faulted else "ended before the others."),
            advice=f"`hoard events --request {accepted.id}` shows its history.",
        )


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Have SIGTERM cancel, as Ctrl-C does, within this block."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def keep(
    client: V2Client,
    generations: Sequence[Generation],
    folder: Path,
    request_id: str,
    prompt: str,
    output: Output,
) -> list[Picture]:
    """Save images and their contact sheet, writing the path of each."""
    from infrastructure.cli.requests.pictures import save_contact_sheet, save_pictures

    def write_path(picture: Picture) -> None:
        output.record(
            {
                "type": "image",
                "path": str(picture.path),
                "id": picture.generation.id,
                "seed": picture.generation.seed,
                "batch_index": picture.generation.batch_index,
                "worker": picture.generation.worker_name,
                "model": picture.generation.model,
            }
        )
        output.say(str(picture.path))
        output.remark(f"{picture.generation.id}: seed {picture.generation.seed}", style="")

    prefix = request_id.partition("-")[0]
    pictures = save_pictures(client, generations, folder, prefix=prefix, on_saved=write_path)
    if pictures:
        sheet = folder / f"{prefix}-contact-sheet.png"
        save_contact_sheet(pictures, sheet, title=prompt)
        output.record({"type": "contact_sheet", "path": str(sheet)})
        output.say(str(sheet), style="bold")
    return pictures


def payload_for(prompt: str, models: Sequence[str], **parameters: Any) -> dict[str, Any]:
    """Return the body of a request; None means the server's default."""
    body: dict[str, Any] = {
        "prompt": prompt,
        "params": {name: value for name, value in parameters.items() if value is not None},
        "r2": True,
    }
    if models:
        body["models"] = list(models)
    return body


def sources(source: Path | None, mask: Path | None) -> dict[str, Any]:
    """Return the part of a request's body that holds the images to start from.

    :raises CliError: for a mask without a source.
    """
    if source is None:
        if mask is None:
            return {}
        raise CliError(
            "A mask means nothing without a source image.",
            advice="Give the image with --source.",
            exit_status=WRONGLY_ASKED,
        )
    body: dict[str, Any] = {
        "source_image": _base64_of(source),
        "source_processing": "img2img" if mask is None else "inpainting",
    }
    return body if mask is None else body | {"source_mask": _base64_of(mask)}


def _base64_of(file: Path) -> str:
    import base64

    return base64.b64encode(file.read_bytes()).decode("ascii")


def _lora(text: str) -> dict[str, Any]:
    """Return a LoRA of a request's body: ``NAME``, ``NAME:STRENGTH`` or ``version/ID:STRENGTH``."""
    name, colon, strength = text.rpartition(":")
    try:
        made: dict[str, Any] = {"model": float(strength)} if colon else {}
    except ValueError:
        # A name may have a colon of its own.
        made, colon = {}, ""
    name = name if colon else text
    if version := re.fullmatch(r"version/(\d+)", name):
        return {"name": version[1], "is_version": True, **made}
    return {"name": name, **made}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if found is None:
        raise CliError(
            f"{printable(text)} is not a size.",
            advice="Give it as WIDTHxHEIGHT, such as 512x512, both multiples of 64.",
            exit_status=WRONGLY_ASKED,
        )
    return int(found[1]), int(found[2])


def announce(accepted: Accepted, images: int, output: Output, *, prompt: str | None = None) -> None:
    """Write that a request was accepted, with its warnings and the prompt that was sent."""
    said = {} if prompt is None else {"prompt": prompt}
    output.record({"type": "accepted", "id": accepted.id, "kudos": accepted.kudos, **said})
    output.remark(
        f"Request {accepted.id}: {counted(images, 'image')}, {accepted.kudos:g} kudos.",
        style="",
    )
    if prompt is not None:
        output.remark(f"Prompt: {printable(prompt)}", style="")
    for warning in accepted.warnings or ():
        output.record({"type": "warning", "code": warning.code, "message": warning.message})
        output.remark(printable(f"{warning.code}: {warning.message}"), style="yellow")


def watched(client: V2Client, request_id: str, images: int, output: Output) -> tuple[Status, bool]:
    """Show the progress of a request until it ends; return its status and whether Ctrl-C ended it.

    :raises CliError: when it could not be cancelled.
    :raises ServerUnreachable, ServerRefused, AnswerNotUnderstood: when the server gives no status.
    """
    from infrastructure.cli.requests.progress_display import progress_on
    from infrastructure.cli.requests.watcher import watch

    try:
        with progress_on(output, images) as shown:
            watch(client, request_id, shown)
        return client.status(request_id), False
    except KeyboardInterrupt:
        return _cancelled(client, request_id, images, output), True


def _cancelled(client: V2Client, request_id: str, images: int, output: Output) -> Status:
    from infrastructure.cli.requests.api_client import ServerUnreachable

    try:
        status = client.cancel(request_id)
    except ServerUnreachable as error:
        raise CliError(
            f"The request could not be cancelled and goes on. {error}.",
            advice=f"Later: curl -X DELETE {client.server}/api/v2/generate/status/{request_id}",
        ) from None
    output.record({"type": "cancelled", "id": request_id, "finished": status.finished})
    output.remark(
        f"Cancelled: {status.finished} of {images} images were finished before.", style="yellow"
    )
    return status
