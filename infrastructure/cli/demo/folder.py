"""The folder of a demo: a new one each time, and nothing that lies there already is touched."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from infrastructure.cli.terminal.errors import CliError


def fresh_folder(folder: Path) -> Path:
    """Return ``folder``, or if a demo was there before, the first of ``folder/2``, ``folder/3``…

    Its ``data`` is made, and is empty. An earlier demo may be served from still, or hold what its
    owner has come to like, so nothing is ever cleared away.

    :raises Trouble: when the place is taken by a file.
    """
    for number in count(1):
        candidate = folder if number == 1 else folder / str(number)
        try:
            (candidate / "data").mkdir(parents=True)
        except FileExistsError:
            if any(part.exists() and not part.is_dir() for part in (folder, candidate)):
                raise CliError(
                    f"{candidate} is no folder.", advice="Choose another with --out DIR."
                ) from None
            continue
        except NotADirectoryError:
            raise CliError(
                f"{folder} is no folder.", advice="Choose another with --out DIR."
            ) from None
        return candidate
    raise AssertionError("there is always another number")
