"""The state of the whole."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Heartbeat(BaseModel):
    """The server is up."""

    message: Literal["OK"]
    version: str
