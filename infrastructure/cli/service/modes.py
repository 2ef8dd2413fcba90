"""``hoard modes``: shows and changes the modes of the service."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.output import Output


class Switch(StrEnum):
    """The state of a mode."""

    ON = "on"
    OFF = "off"


def modes(
    maintenance: Annotated[
        Switch | None, typer.Option("--maintenance", help="Refuse new requests.")
    ] = None,
    invite_only: Annotated[
        Switch | None,
        typer.Option("--invite-only", help="Require an invitation for new workers."),
    ] = None,
    raid: Annotated[
        Switch | None, typer.Option("--raid", help="Mark that moderators expect abuse.")
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Show or change the modes."""
    with opened(data) as hoard:
        if maintenance is None and invite_only is None and raid is None:
            present = hoard.inline.modes.now()
        else:
            present = hoard.ledger.modes.change(
                maintenance=_is_on(maintenance), invite_only=_is_on(invite_only), raid=_is_on(raid)
            )
    output = Output(as_json=as_json)
    output.record(
        {
            "maintenance": present.maintenance,
            "invite_only": present.invite_only,
            "raid": present.raid,
        }
    )
    for name, on in (
        ("maintenance", present.maintenance),
        ("invite only", present.invite_only),
        ("raid", present.raid),
    ):
        output.say(f"{name:12} {Switch.ON if on else Switch.OFF}")


def _is_on(switch: Switch | None) -> bool | None:
    return None if switch is None else switch is Switch.ON
