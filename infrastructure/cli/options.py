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

AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON lines for other programs.", show_default=False)
]
