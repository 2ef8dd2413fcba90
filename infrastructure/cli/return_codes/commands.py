"""``hoard return-codes``: lists return codes and their translations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.output import Column, Output, counted

if TYPE_CHECKING:
    from domain.return_codes import ReturnCode
    from translations import Translation

app = typer.Typer(help="The catalogue of return codes.", no_args_is_help=True)

Language = Annotated[
    str | None,
    typer.Option("--language", metavar="TAG", help="Language tag, such as de; default English."),
]


@app.callback()
def _return_codes() -> None:
    """The catalogue of return codes."""


@app.command("list")
def list_codes(
    everything: Annotated[
        bool, typer.Option("--all", help="Also reserved names and families.")
    ] = False,
    language: Language = None,
    as_json: options.AsJson = False,
) -> None:
    """List the return codes that clients can get."""
    from domain.return_codes import RETURN_CODES

    translation = _translation(language)
    codes = [code for code in RETURN_CODES.values() if everything or code.may_be_raised]
    output = Output(as_json=as_json)
    for code in codes:
        output.record(_fields(code, translation))
    output.table(
        (Column("rc"), Column("status", right=True), Column("message")),
        [(code.name, code.status, _said(code, translation)[0]) for code in codes],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The return code, case-insensitive.")],
    language: Language = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a return code."""
    code, translation = _code(name), _translation(language)
    message, detailed, advice = _said(code, translation)
    output = Output(as_json=as_json)
    output.record(_fields(code, translation))
    output.say(f"{code.name}  {code.status}", style="bold")
    output.say(f"  message     {message}")
    if detailed:
        output.say(f"  in detail   {detailed}")
    output.say(f"  when        {code.when}")
    output.say(f"  what to do  {advice}")
    if not code.may_be_raised:
        what = (
            "names a family" if code.base else "is reserved for a feature that Hoard does not have"
        )
        output.remark(f"It {what}: no error has it.")


@app.command()
def coverage(as_json: options.AsJson = False) -> None:
    """Show per language which codes are missing, out of date or unknown.

    Ends with status 1 when any are out of date or unknown: a missing text is English instead, but
    these say something wrong.
    """
    import translations

    output = Output(as_json=as_json)
    rows, wrong = [], False
    for tag, each in translations.shipped().items():
        found = translations.coverage_of(each)
        wrong = wrong or bool(found.stale or found.unknown)
        output.record(
            {
                "language": tag,
                "translated": found.translated,
                "of": found.of,
                "missing": found.missing,
                "stale": found.stale,
                "unknown": found.unknown,
            }
        )
        names = (found.missing, found.stale, found.unknown)
        done = f"{found.translated} of {found.of}"
        rows.append((tag, each.language, done, *(" ".join(group) or "–" for group in names)))
    headings = ("tag", "language", "translated", "missing", "out of date", "unknown")
    output.table([Column(heading) for heading in headings], rows)
    if wrong:
        raise typer.Exit(1)


@app.command()
def template(
    tag: Annotated[str, typer.Argument(help="The language's tag, such as it or pt-BR.")],
    name: Annotated[
        str, typer.Option("--name", help="The language's own name, for a new one.")
    ] = "",
) -> None:
    """Write the file of a translation to standard output; missing texts are empty.

    Fill it in and store it as translations/TAG.toml; nothing else is needed.
    """
    import translations

    existing = translations.shipped().get(tag)
    if existing is None and not name:
        raise CliError(
            f"There is no translation {tag} yet.",
            advice="Give the language's own name with --name, such as Italiano.",
            exit_status=WRONGLY_ASKED,
        )
    started = existing or translations.Translation(tag, name, {})
    typer.echo(translations.written(started), nl=False)


@app.command()
def docs(
    folder: Annotated[
        Path, typer.Argument(help="Where return-codes.md and left-out.md go.", file_okay=False)
    ] = Path("docs/reference"),
) -> None:
    """Write the documentation pages that are generated from the catalogue."""
    import translations
    from infrastructure.cli.return_codes.pages import left_out_page, return_codes_page

    if not folder.is_dir():
        raise CliError(
            f"{folder} is not a folder.",
            advice="Give an existing folder.",
            exit_status=WRONGLY_ASKED,
        )
    pages = {
        "return-codes.md": return_codes_page(translations.shipped()),
        "left-out.md": left_out_page(),
    }
    for name, page in pages.items():
        (folder / name).write_text(page, encoding="utf-8")
    Output().remark(f"Wrote {counted(len(pages), 'page')} to {folder}.")


def _code(name: str) -> ReturnCode:
    from domain.return_codes import RETURN_CODES

    for known, code in RETURN_CODES.items():
        if known.casefold() == name.casefold():
            return code
    raise CliError(
        f"There is no return code {name}.",
        advice="`hoard return-codes list --all` lists them.",
        exit_status=WRONGLY_ASKED,
    )


def _translation(tag: str | None) -> Translation | None:
    import translations

    if tag is None or tag == "en":
        return None
    found = translations.shipped().get(tag)
    if found is None:
        there = ", ".join(("en", *translations.shipped()))
        raise CliError(
            f"There is no translation {tag}.",
            advice=f"There are: {there}.",
            exit_status=WRONGLY_ASKED,
        )
    return found


def _said(code: ReturnCode, translation: Translation | None) -> tuple[str, str, str]:
    """Return message, detailed message and advice."""
    said = translation.entries.get(code.name, code) if translation else code
    return said.message, said.detailed, said.advice


def _fields(code: ReturnCode, translation: Translation | None) -> dict[str, object]:
    message, detailed, advice = _said(code, translation)
    return {
        "rc": code.name,
        "status": code.status,
        "message": message,
        "detailed": detailed or None,
        "when": code.when,
        "advice": advice,
        "reserved": code.reserved,
        "base": code.base,
    }
