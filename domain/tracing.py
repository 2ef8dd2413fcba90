"""Where an error came from, without what it says."""

from __future__ import annotations

import traceback
from pathlib import PurePath


def where(error: BaseException) -> list[str]:
    """Return the places that an error passed, outermost first, as ``file:line in function``.

    Neither its message nor any value is in there: both could hold a prompt.
    """
    return [
        f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
