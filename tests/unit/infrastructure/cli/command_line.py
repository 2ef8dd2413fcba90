"""What running a command gives back."""

from __future__ import annotations

from collections.abc import Callable

Command = Callable[..., tuple[int, str, str]]
"""Takes arguments; returns the exit status and what was written to output and to error."""
