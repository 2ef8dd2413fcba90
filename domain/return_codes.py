"""The return codes: what a refusal is called, its HTTP status and what it says by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ReturnCode:
    """One entry of the catalogue."""

    name: str
    """What clients compare with, for ever: the ``rc`` of an error body."""
    status: int
    """The HTTP status that goes with it."""
    message: str
    """What a person is told unless the place that refuses knows better."""


_ENTRIES = (
    ReturnCode("MissingPrompt", 400, "Please give a prompt: the text that says what to draw."),
    ReturnCode("InvalidSize", 400, "Width and height must be multiples of 64 from 64 to 3072."),
    ReturnCode("InvalidPromptSize", 400, "The prompt is too long: keep it within 7,500 words."),
    ReturnCode("TooManySteps", 400, "Too many steps: ask for 1 to 500."),
    ReturnCode("UnsupportedSampler", 400, "This sampler is not known."),
    ReturnCode("UnsupportedModel", 400, "Please name at least one model that is served here."),
    ReturnCode("BadCFGDecimals", 400, "cfg_scale takes at most two decimals."),
    ReturnCode("BadCFGNumber", 400, "cfg_scale must be a number from 0 to 100."),
    ReturnCode("RequiresTrust", 400, "Only trusted users and patrons may disable batching."),
    ReturnCode("TooLongWorkerName", 400, "A worker's name has 1 to 100 characters."),
    ReturnCode(
        "WorkerNameAlreadyExists", 400, "Another account's worker has this name; choose another."
    ),
    ReturnCode("DuplicateGen", 400, "This generation was already submitted."),
    ReturnCode(
        "AbortedGen", 400, "This job was given up: its lease ended, or its request is over."
    ),
    ReturnCode(
        "ImageValidationFailed", 400, "The generation is no image that can be read and served."
    ),
    ReturnCode("NulByteInPayload", 400, "Text may not hold NUL characters."),
    ReturnCode("BadRequest", 400, "The request could not be understood."),
    ReturnCode("InvalidAPIKey", 401, "No account has this API key."),
    ReturnCode("WrongCredentials", 403, "This belongs to another account."),
    ReturnCode("AnonForbiddenWorker", 403, "Anonymous may not run workers: create an account."),
    ReturnCode("WorkerMaintenance", 403, "This worker is in maintenance mode and gets no jobs."),
    ReturnCode("NotTrusted", 403, "Untrusted accounts may run 3 workers, trusted ones 20."),
    ReturnCode("InvalidJobID", 404, "There is no such job."),
    ReturnCode("RequestNotFound", 404, "There is no such request."),
    ReturnCode("Locked", 423, "Others were faster again and again; please try again."),
    ReturnCode(
        "InternalServerError", 500, "Something broke here that should not; please try again."
    ),
)

CATALOGUE: Mapping[str, ReturnCode] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Every return code by name."""


class Refused(Exception):
    """A command was refused; the return code says why in a word that programs can compare."""

    def __init__(
        self, name: str, message: str | None = None, errors: Mapping[str, str] | None = None
    ) -> None:
        """Refuse with the catalogue's code ``name``.

        :param message: what a person is told instead of the catalogue's default.
        :param errors: what is wrong, by field.
        :raises KeyError: when the catalogue lacks the code.
        """
        self.code = CATALOGUE[name]
        self.message = message or self.code.message
        self.errors = dict(errors or {})
        super().__init__(f"{name}: {self.message}")
