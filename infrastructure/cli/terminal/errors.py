"""The error of a command: one sentence, what to do next, and an exit status."""

from __future__ import annotations

WENT_WRONG = 1
"""Exit status of a command that failed."""

WRONGLY_ASKED = 2
"""Exit status of a command with impossible arguments."""


class CliError(Exception):
    """A command cannot go on; the message says why and what to do."""

    def __init__(self, message: str, *, advice: str = "", exit_status: int = WENT_WRONG) -> None:
        """Stop the command.

        :param message: what is wrong, a whole sentence.
        :param advice: what to do next, a whole sentence; empty when that is obvious.
        :param exit_status: :data:`WENT_WRONG` or :data:`WRONGLY_ASKED`.
        """
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.exit_status = exit_status
