"""What a command says about an error that has a known cause."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError


def cli_error_from(error: Exception) -> CliError | None:
    """Return the message for an error with a known cause; None for any other.

    Only loaded modules are asked: a library that was never imported raises no error, and a command
    should not import one just to fail.
    """
    if isinstance(error, CliError):
        return error
    for module, explain in _EXPLAINED:
        loaded = sys.modules.get(module)
        if loaded is not None and (known := explain(error)) is not None:
            return known
    if isinstance(error, OSError) and error.filename is not None:
        return CliError(f"{error.filename}: {error.strerror}.", advice="Check the permissions.")
    return None


def _settings(error: Exception) -> CliError | None:
    from infrastructure.settings.environment import SettingsInvalid

    if isinstance(error, SettingsInvalid):
        return CliError(
            f"A setting has no usable value.\n{error}",
            advice="Correct the option, or the environment variable of that name.",
            exit_status=WRONGLY_ASKED,
        )
    return None


def _refused(error: Exception) -> CliError | None:
    from domain.return_codes import Refused

    return CliError(f"{error.message} ({error.code.name})") if isinstance(error, Refused) else None


def _server(error: Exception) -> CliError | None:
    from infrastructure.cli.requests import api_client as v2_client

    if isinstance(error, v2_client.ServerUnreachable):
        return CliError(
            f"{error}.", advice="Start a server with `hoard up`, or give its address as --url."
        )
    if isinstance(error, v2_client.ServerRefused):
        fields = "".join(f"\n  {field}: {text}" for field, text in error.errors.items())
        return CliError(f"The server refused: {error}{fields}", advice=_ADVICE.get(error.rc, ""))
    if isinstance(error, v2_client.AnswerNotUnderstood):
        return CliError(f"{error}.", advice="Is --url the address of an AI Horde v2 API?")
    return None


def _database(error: Exception) -> CliError | None:
    import sqlalchemy.exc

    if isinstance(error, sqlalchemy.exc.DBAPIError):
        reason = str(error.orig).strip().splitlines()
        return CliError(
            f"The database cannot be used: {reason[0] if reason else type(error.orig).__name__}.",
            advice="Check --data, HOARD_LEDGER_URL and HOARD_VIEWS_URL, and that it runs.",
        )
    return None


_EXPLAINED: Sequence[tuple[str, Callable[[Exception], CliError | None]]] = (
    ("infrastructure.settings.environment", _settings),
    ("domain.return_codes", _refused),
    ("infrastructure.cli.requests.api_client", _server),
    ("sqlalchemy.exc", _database),
)

_ADVICE = {
    "InvalidAPIKey": "Check --key; `hoard accounts create NAME` makes one.",
    "ImageNotFound": "Only its requester may reproduce an image; check --key.",
    "InvalidSize": "Give --size as WIDTHxHEIGHT, both multiples of 64.",
    "RequestNotFound": "It may have expired: requests are kept for a limited time.",
}
