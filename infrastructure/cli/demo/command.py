"""``hoard demo``: starts Hoard, makes twenty images in one batch and replays their history."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.text import Text

from infrastructure.cli.requests import generate
from infrastructure.cli.terminal.errors import CliError
from infrastructure.cli.terminal.output import Column, Output

if TYPE_CHECKING:
    from infrastructure.bootstrap import Hoard
    from infrastructure.cli.requests.api_client import Status, V2Client
    from infrastructure.cli.requests.pictures import Picture
    from infrastructure.settings.environment import Settings
    from projections.view import RecordedEvent

IMAGES = 20
SIZE = 512
AMOUNT = 20
MAX_PIXELS = 2048 * 2048

_SECONDS_TO_GET_READY = 180.0
_SECONDS_TO_MAKE_IMAGES = 900.0
_COLUMNS_IN_A_PIPE = 120


@dataclass(frozen=True, slots=True)
class Made:
    """The outcome of the request."""

    request_id: UUID
    status: Status
    pictures: Sequence[Picture]


class Demo:
    """Announces steps and counts failed checks."""

    def __init__(self, output: Output) -> None:
        """Start without failures."""
        self.output = output
        self.failures = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step and say how long it took."""
        self.output.say(Text(f"\n{title}", style="bold"))
        started = time.monotonic()
        yield
        self.output.say(f"  {time.monotonic() - started:.1f} s", style="dim")

    def holds(self, fact: bool, text: str) -> None:
        """Write a check, and count a failed one."""
        self.output.tick(text, holds=fact)
        self.failures += not fact


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for images and ledger.")] = Path(
        "demo"
    ),
    prompt: Annotated[str, typer.Option(help="What to draw.")] = generate.EXAMPLE_PROMPT,
) -> None:
    """Start Hoard, make 20 images in one batch and replay the history.

    It uses a new folder; nothing else is read or changed.
    """
    from infrastructure.cli.demo.server import ServerProcess, free_port, fresh_folder
    from infrastructure.cli.requests.api_client import V2Client
    from infrastructure.keys.api_keys import ANONYMOUS_KEY

    demo = Demo(Output())
    folder = fresh_folder(out)
    _remove_other_settings()
    settings = _settings(folder / "data", free_port())
    server = ServerProcess(settings.data, settings.port, log=folder / "hoard-up.log")
    with server:
        with demo.step(f"Starting hoard up --data {folder / 'data'} --port {settings.port}"):
            server.wait_until_ready(_SECONDS_TO_GET_READY)
            demo.holds(True, f"API, projector, worker and Redis answer: {settings.base_url}")
        with V2Client(
            settings.base_url, ANONYMOUS_KEY, client_agent="hoard-demo:1:unknown"
        ) as client:
            made = _make_images(demo, client, prompt, folder)
        _show_history(demo, settings, made)
        with demo.step("Stopping everything"):
            demo.holds(server.stop() == 0, "API, projector, worker and Redis have ended")
    _say_what_next(demo, folder, made)
    if demo.failures:
        raise CliError(
            f"{demo.failures} checks of the demo failed.",
            advice=f"What the server said is in {folder / 'hoard-up.log'} and {settings.data}.",
        )


def _remove_other_settings() -> None:
    for name in [name for name in os.environ if name.startswith("HOARD_")]:
        del os.environ[name]


def _settings(data: Path, port: int) -> Settings:
    from infrastructure.settings.environment import load_settings

    # In the environment, for the server, too, which is a child process. A busy machine may take
    # long, and its worker should keep the batch.
    os.environ["HOARD_WORKER_AMOUNT"] = str(AMOUNT)
    os.environ["HOARD_WORKER_MAX_PIXELS"] = str(MAX_PIXELS)
    os.environ["HOARD_LEASE_MINIMUM_SECONDS"] = str(_SECONDS_TO_MAKE_IMAGES)
    return load_settings(data=data, port=port)


def _make_images(demo: Demo, client: V2Client, prompt: str, folder: Path) -> Made:
    from infrastructure.cli.requests.generate import payload_for
    from infrastructure.cli.requests.pictures import save_contact_sheet, save_pictures
    from infrastructure.cli.requests.progress_display import ProgressBar, ProgressLines
    from infrastructure.cli.requests.watcher import watch

    output = demo.output
    with demo.step(f"Requesting {IMAGES} images of {SIZE}x{SIZE}: “{prompt}”"):
        accepted = client.request_images(
            payload_for(
                prompt,
                [],
                n=IMAGES,
                width=SIZE,
                height=SIZE,
                steps=generate.EXAMPLE_STEPS,
                sampler_name=generate.EXAMPLE_SAMPLER,
                cfg_scale=generate.EXAMPLE_CFG_SCALE,
            )
        )
        output.say(f"  request {accepted.id}, {accepted.kudos:g} kudos")
        shown = ProgressBar(output.out, IMAGES) if output.on_terminal else ProgressLines(output)
        with shown:
            watch(client, accepted.id, shown, within=_SECONDS_TO_MAKE_IMAGES)
        status = client.status(accepted.id)
        demo.holds(
            status.finished == IMAGES and status.done and not status.faulted,
            f"{status.finished} of {IMAGES} images are finished",
        )
    with demo.step("Saving them"):
        pictures = save_pictures(client, status.generations, folder / "images", prefix="image")
        if pictures:
            sheet = folder / "contact-sheet.png"
            save_contact_sheet(pictures, sheet, title=prompt)
            output.say(f"  {len(pictures)} images in {folder / 'images'}")
            output.say(Text.assemble("  contact sheet ", (str(sheet), "bold green")))
    return Made(UUID(accepted.id), status, pictures)


def _show_history(demo: Demo, settings: Settings, made: Made) -> None:
    from infrastructure.cli.history.log_reader import history_of
    from infrastructure.cli.terminal.installation import opened

    with opened(settings.data) as hoard:
        history = history_of(hoard.storage.log, made.request_id)
        with demo.step("The events of the request"):
            _show_events(demo, history)
        with demo.step("The served status, compared with a replay of its events"):
            _show_replay(demo, history, made)
        with demo.step("Every served view, compared with a replay of all events"):
            _verify_views(demo, hoard)


def _show_events(demo: Demo, history: Sequence[RecordedEvent]) -> None:
    from infrastructure.cli.demo.proof import slice_of
    from infrastructure.cli.history.event_lines import EventLine

    output = demo.output
    width = output.out.width if output.on_terminal else _COLUMNS_IN_A_PIPE
    for recorded in history:
        output.say(EventLine.of(recorded).as_coloured(width))
    cut = slice_of(history)
    demo.holds(
        cut.is_one_batch_of(IMAGES),
        f"jobs: {cut.jobs}, batches: {len(cut.batches)}, of "
        f"{' + '.join(map(str, cut.batches))} images, for a worker of amount {cut.amount} "
        f"and {cut.max_pixels:,} pixels",
    )


def _show_replay(demo: Demo, history: Sequence[RecordedEvent], made: Made) -> None:
    from infrastructure.cli.demo.proof import compare, replayed

    files = {picture.generation.id: picture.content for picture in made.pictures}
    compared = compare(made.status, files, replayed(history))
    demo.output.table(
        [Column("fact"), Column("served"), Column("replayed"), Column("equal")],
        [
            (
                row.fact.replace("_", " "),
                _short(row.served),
                _short(row.replayed),
                "✓" if row.is_equal else "✗",
            )
            for row in compared
        ],
    )
    demo.holds(all(row.is_equal for row in compared), "the replayed status is the served one")


def _verify_views(demo: Demo, hoard: Hoard) -> None:
    from infrastructure.cli.projections.replay import verified
    from infrastructure.cli.projections.served_views import views_of

    for served in views_of(hoard):
        demo.failures += not verified(hoard, served, demo.output)


def _short(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    kinds = sorted({str(part) for part in value})
    first = kinds[0][:24] if kinds else ""
    return f"{len(value)}: {first}{'…' if len(kinds) > 1 or len(kinds[0]) > 24 else ''}"


def _say_what_next(demo: Demo, folder: Path, made: Made) -> None:
    output = demo.output
    hoard = _program_name()
    data = folder / "data"
    output.say(Text("\nWhat to try next", style="bold"))
    for command, meaning in (
        (f"{hoard} events --data {data} --request {made.request_id}", "show this history again"),
        (f"{hoard} projections verify all --data {data}", "replay everything, compare every row"),
        (f"{hoard} up --data {data}", "continue with this ledger, and in another terminal:"),
        (
            f'{hoard} generate "two green stars on a black background" --n 4 '
            + generate.EXAMPLE_OPTIONS,
            "request something else",
        ),
    ):
        output.say(Text.assemble("  ", (command, "cyan")))
        output.say(f"      {meaning}", style="dim")
    if made.pictures:
        output.say(Text.assemble("Look at ", (str(folder / "contact-sheet.png"), "bold green")))


def _program_name() -> str:
    called = Path(sys.argv[0])
    return "hoard" if called.name != "hoard" or shutil.which("hoard") else str(called)
