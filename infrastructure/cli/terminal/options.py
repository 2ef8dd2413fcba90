"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder that holds everything; default $HOARD_DATA, else ./hoard-data.",
        show_default=False,
    ),
]

Url = Annotated[
    str | None,
    typer.Option(help="The server; default the one of `hoard up`.", show_default=False),
]

Key = Annotated[
    str | None,
    typer.Option(
        envvar="HOARD_API_KEY",
        help="An API key; anonymous if not given.",
        show_default=False,
        show_envvar=True,
    ),
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON lines for other programs.", show_default=False)
]
