"""What handlers answer with: JSON, written once and checked against nothing."""

from __future__ import annotations

import orjson
from starlette.responses import Response

NOT_KEPT = {"cache-control": "no-store"}
"""Headers of an answer that is true for this moment only."""


class Answer(Response):
    """A JSON answer; identifiers become text and times ISO 8601."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write the JSON."""
        return orjson.dumps(content)
