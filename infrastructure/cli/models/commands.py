"""``hoard models``: lists, extends and checks the catalogue of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WENT_WRONG, WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.output import Column, Output, counted

if TYPE_CHECKING:
    from domain.models.catalogue import ModelEntry
    from infrastructure.models.catalogue import ModelCatalogue

app = typer.Typer(help="The catalogue of models.", no_args_is_help=True)

Baselines = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="Only this family, as the catalogue spells it, such as stable_diffusion_xl.",
        show_default=False,
    ),
]


@app.callback()
def _models() -> None:
    """The catalogue of models."""


@app.command("list")
def list_models(
    baseline: Baselines = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """List all models: those that ship with Hoard, and the operator's."""
    catalogue = _catalogue(data)
    entries = _of_baseline(catalogue.entries(), baseline)
    output = Output(as_json=as_json)
    for entry in entries:
        output.record(_record(entry, own=catalogue.is_own(entry.name)))
    output.table(
        (
            Column("model"),
            Column("baseline"),
            Column("style"),
            Column("nsfw"),
            Column("files", right=True),
            Column("from"),
        ),
        [
            (
                entry.name,
                entry.baseline,
                entry.style,
                "yes" if entry.nsfw else "",
                len(entry.files),
                "operator" if catalogue.is_own(entry.name) else "Hoard",
            )
            for entry in entries
        ],
    )
    output.remark(f"{counted(len(entries), 'model')}.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the model in requests.")],
    baseline: Annotated[
        str, typer.Option("--baseline", help="Its family, such as stable_diffusion_xl.")
    ],
    style: Annotated[str, typer.Option("--style", help="Its style.")] = "generalist",
    nsfw: Annotated[bool, typer.Option("--nsfw", help="Made for adult content.")] = False,
    requires_source: Annotated[
        bool, typer.Option("--requires-source", help="Needs a source image.")
    ] = False,
    description: Annotated[
        str, typer.Option("--description", help="A description, one sentence.")
    ] = "",
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            metavar="NAME=URL",
            help="A file of it and its download address; repeatable.",
        ),
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option("--sha256", metavar="NAME=HEX", help="SHA-256 of such a file; repeatable."),
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Add a model to the operator's own catalogue, models.toml in the data folder.

    A running Hoard reads it within seconds. Edit the file to add optimal settings.
    """
    from infrastructure.models.catalogue import OPERATORS_FILE, CatalogueInvalid, add_model
    from infrastructure.settings.environment import load_settings

    path = load_settings(data=data).data / OPERATORS_FILE
    sums = dict(_pairs("--sha256", sha256 or ()))
    files = _pairs("--file", file or ())
    if strangers := sums.keys() - {file_name for file_name, _ in files}:
        raise CliError(
            f"--sha256 names a file that no --file names: {min(strangers)}.",
            exit_status=WRONGLY_ASKED,
        )
    fields: dict[str, str | bool] = {"name": name, "baseline": baseline, "style": style}
    fields |= {"nsfw": True} if nsfw else {}
    fields |= {"requires_source": True} if requires_source else {}
    fields |= {"description": description} if description else {}
    tables = [
        {"name": file_name, "url": url} | ({"sha256": sums[file_name]} if file_name in sums else {})
        for file_name, url in files
    ]
    try:
        entry = add_model(path, fields, tables)
    except CatalogueInvalid as invalid:
        raise CliError(
            f"{path} would not be valid:\n{invalid}",
            advice="`hoard models list` shows how families are spelt.",
            exit_status=WRONGLY_ASKED,
        ) from None
    output = Output(as_json=as_json)
    output.record(_record(entry, own=True))
    output.say(f"{entry.name} is in {path}.")


@app.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="Find the models' files below it and check their SHA-256.",
            show_default=False,
        ),
    ] = None,
    addresses: Annotated[
        bool, typer.Option("--addresses", help="Check that the files can be downloaded.")
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Check files and addresses of this model only; repeatable."),
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare the catalogue with workers' models, a folder, and download addresses.

    Ends with status 1 when a file is not what the catalogue says, or cannot be downloaded.
    """
    catalogue = _catalogue(data)
    output = Output(as_json=as_json)
    meant = _meant(catalogue, model or ())
    try:
        _check_workers(output, catalogue, data)
    except CliError as error:
        if folder is None and not addresses:
            raise
        output.remark(error.message)
    wrong = _check_folder(output, folder, meant) if folder is not None else 0
    wrong += _check_addresses(output, meant) if addresses else 0
    if wrong:
        raise typer.Exit(WENT_WRONG)


def _check_workers(output: Output, catalogue: ModelCatalogue, data: Path | None) -> None:
    with opened(data) as hoard:
        offered = hoard.views.models.offered()
    unknown = sorted(name for name in offered if catalogue.entry(name) is None)
    unserved = [name for name in catalogue.names() if name not in offered]
    output.record({"offered": len(offered), "unknown": unknown, "unserved": unserved})
    output.tick(f"{counted(len(offered), 'model')} offered by the workers that are here")
    for name in unknown:
        output.tick(f"offered, but not in the catalogue: {name}", holds=False)
    output.say(f"Known, but offered by nobody now: {', '.join(unserved) or 'none'}.")


def _check_folder(output: Output, folder: Path, models: Sequence[ModelEntry]) -> int:
    from infrastructure.models.file_checks import FileState, files_in

    if not folder.is_dir():
        raise CliError(f"There is no folder {folder}.", exit_status=WRONGLY_ASKED)
    wrong = 0
    missing: list[str] = []
    for found in files_in(folder, models):
        output.record(
            {
                "model": found.model,
                "file": found.file.name,
                "state": found.state,
                "path": found.path,
            }
        )
        match found.state:
            case FileState.MISSING:
                missing.append(found.file.name)
            case FileState.WRONG:
                wrong += 1
                output.tick(f"{found.model}: {found.path} has another SHA-256", holds=False)
            case FileState.WHOLE:
                output.tick(f"{found.model}: {found.path} is whole")
            case FileState.THERE:
                output.tick(f"{found.model}: {found.path} is there; its SHA-256 is not known")
    output.say(f"Not in {folder}: {', '.join(missing) or 'none'}.")
    return wrong


def _check_addresses(output: Output, models: Sequence[ModelEntry]) -> int:
    from infrastructure.models.file_checks import answers_of

    wrong = 0
    for found in answers_of(models):
        output.record({"model": found.model, "file": found.file.name, "answer": found.answer})
        output.tick(f"{found.model}: {found.file.url}: {found.answer}", holds=found.answers)
        wrong += not found.answers
    return wrong


def _catalogue(data: Path | None) -> ModelCatalogue:
    from infrastructure.models.catalogue import ModelCatalogue
    from infrastructure.settings.environment import load_settings

    return ModelCatalogue.in_folder(load_settings(data=data).data)


def _of_baseline(entries: Sequence[ModelEntry], baseline: str | None) -> Sequence[ModelEntry]:
    from domain.models.catalogue import Baseline

    if baseline is None:
        return entries
    if baseline not in list(Baseline):
        raise CliError(
            f"No family is called {baseline}.",
            advice=f"Choose one of: {', '.join(Baseline)}.",
            exit_status=WRONGLY_ASKED,
        )
    return [entry for entry in entries if entry.baseline == baseline]


def _meant(catalogue: ModelCatalogue, names: Iterable[str]) -> Sequence[ModelEntry]:
    wanted = list(names)
    for name in wanted:
        if catalogue.entry(name) is None:
            raise CliError(
                f"The catalogue has no model {name}.",
                advice="`hoard models list` shows all.",
                exit_status=WRONGLY_ASKED,
            )
    return [entry for entry in catalogue.entries() if not wanted or entry.name in wanted]


def _pairs(option: str, given: Iterable[str]) -> Sequence[tuple[str, str]]:
    pairs = []
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise CliError(
                f"{option} {text} is not of the form NAME=VALUE.", exit_status=WRONGLY_ASKED
            )
        pairs.append((name, value))
    return pairs


def _record(entry: ModelEntry, *, own: bool) -> Mapping[str, object]:
    optimal = entry.optimal
    return {
        "name": entry.name,
        "baseline": entry.baseline,
        "style": entry.style,
        "nsfw": entry.nsfw,
        "requires_source": entry.requires_source,
        "description": entry.description,
        "optimal": {
            name: value
            for name in optimal.__slots__
            if (value := getattr(optimal, name)) not in (None, ())
        },
        "files": [
            {"name": file.name, "url": file.url, "sha256": file.sha256, "type": file.type}
            for file in entry.files
        ],
        "own": own,
    }
