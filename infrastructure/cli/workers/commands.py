"""``hoard worker run``: runs one worker process for one GPU."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.output import Output

if TYPE_CHECKING:
    from infrastructure.settings.environment import Settings

_LONGEST_NAME = 100

app = typer.Typer(no_args_is_help=True, help="Run standalone GPU workers.")


@app.callback()
def _group() -> None:
    """Run standalone GPU workers."""


@app.command("run")
def run(
    data: options.Data = None,
    engine: Annotated[
        Literal["diffusers", "comfyui"] | None,
        typer.Option(
            help="Engine; default $HOARD_WORKER_ENGINE, else diffusers.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER",
            help="diffusers: a pipeline folder, repeatable; default the shipped one.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="comfyui: its address; default http://127.0.0.1:8188.", show_default=False
        ),
    ] = None,
    comfyui_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="comfyui: its base folder, which holds `models`.",
            show_default=False,
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="The GPU to use, as in CUDA_VISIBLE_DEVICES.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The worker's unique name; default $HOARD_WORKER_NAME, else "
            "machine, engine and GPU.",
            show_default=False,
        ),
    ] = None,
    amount: Annotated[
        int | None,
        typer.Option(
            min=1, max=20, help="Maximum number of images in a batch.", show_default=False
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=64 * 64, help="Pixels of the largest image.", show_default=False),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Serve this Hoard or AI Horde over its v2 API instead of your own.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="HOARD_API_KEY",
            help="With --server: API key of the worker's account there.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
) -> None:
    """Make images for this installation until Ctrl-C or SIGTERM.

    On the signal it finishes its batch and stops; a second signal returns the batch at once.
    """
    from infrastructure.processes.gpus import VARIABLE
    from infrastructure.settings.environment import load_settings

    settings = _named(
        load_settings(
            data=data,
            worker_engine=engine,
            worker_models=";".join(model) if model else None,
            worker_comfyui_url=url,
            worker_comfyui_folder=comfyui_folder,
            worker_name=name,
            worker_amount=amount,
            worker_max_pixels=max_pixels,
        ),
        gpu,
    )
    _require_models(settings)
    if gpu is not None:
        # Before anything loads torch, and for the process that this one turns into.
        os.environ[VARIABLE] = gpu
    if server is not None:
        raise typer.Exit(_serve_elsewhere(settings, server, api_key))
    _require_installation(settings)
    output = Output()
    output.say(f"Worker “{settings.worker_name}” makes images with {settings.worker_engine}.")
    output.say("  stop   Ctrl-C")
    output.out.file.flush()
    _become_worker(settings)


def _named(settings: Settings, gpu: str | None) -> Settings:
    if "worker_name" in settings.model_fields_set:
        return settings
    parts = [socket.gethostname(), settings.worker_engine, *([f"GPU {gpu}"] if gpu else [])]
    return settings.model_copy(update={"worker_name": " ".join(parts)[:_LONGEST_NAME]})


def _require_models(settings: Settings) -> None:
    if settings.worker_engine == "comfyui":
        folder = settings.worker_comfyui_folder
        assert folder is not None
        if not (folder / "models").is_dir():
            raise CliError(
                f"{folder} holds no folder “models”.",
                advice="Give ComfyUI's base folder as --comfyui-folder DIR.",
                exit_status=WRONGLY_ASKED,
            )
        return
    for folder in settings.pipelines.values():
        if not (folder / "model_index.json").is_file():
            raise CliError(
                f"{folder} is not the folder of a diffusers pipeline: it has no model_index.json.",
                advice="Save one there with save_pretrained, or name another with --model.",
                exit_status=WRONGLY_ASKED,
            )


def _require_installation(settings: Settings) -> None:
    if settings.has_embedded_redis and not settings.redis_socket.exists():
        raise CliError(
            f"Nothing runs on {settings.data}: its Redis is not there.",
            advice="Start `hoard up --workers 0` on it first, or set HOARD_BROKER_URL.",
        )


def _serve_elsewhere(settings: Settings, server: str, api_key: str | None) -> int:
    from infrastructure.cli.workers import remote as remote_worker

    if not api_key:
        raise CliError(
            "A worker of another server needs a key of an account there.",
            advice="Give it as --api-key KEY, or in HOARD_API_KEY.",
            exit_status=WRONGLY_ASKED,
        )
    status: int = remote_worker.run_remote_worker(settings, server=server, api_key=api_key)
    return status


def _become_worker(settings: Settings) -> NoReturn:
    from infrastructure.processes.child_programs import lone_worker_program

    program = lone_worker_program(settings)
    # exec: a process in between would only pass signals on.
    os.execve(program.command[0], program.command, os.environ | dict(program.environment))
