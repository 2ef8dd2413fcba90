"""``hoard accounts``: who may ask for more than anonymous may, and who may run workers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from infrastructure.cli import options
from infrastructure.cli.opening import opened
from infrastructure.cli.output import Output
from infrastructure.cli.trouble import WRONGLY_ASKED, Trouble

app = typer.Typer(help="Accounts and their API keys.", no_args_is_help=True)

_LONGEST_NAME = 100


@app.callback()
def _accounts() -> None:
    """Accounts and their API keys."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the account is called, 1 to 100 characters.")],
    trusted: Annotated[
        bool, typer.Option("--trusted", help="May run 20 workers and disable batching.")
    ] = False,
    patron: Annotated[bool, typer.Option("--patron", help="May disable batching.")] = False,
    moderator: Annotated[
        bool, typer.Option("--moderator", help="May do what moderators may.")
    ] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Open an account and show its API key, once.

    Only a digest of the key is stored: whoever loses the key needs another account.
    """
    from domain.account import Roles
    from infrastructure.api_keys import digest_of, new_api_key

    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Trouble(
            f"A name has 1 to {_LONGEST_NAME} characters that can be printed.",
            advice="Choose another name.",
            exit_status=WRONGLY_ASKED,
        )
    key = new_api_key()
    roles = Roles(trusted=trusted, patron=patron, moderator=moderator)
    with opened(data, or_made=True) as hoard:
        account_id = hoard.ledger.open_account(name, digest_of(key), roles)

    given = [
        role
        for role, has in (("trusted", trusted), ("patron", patron), ("moderator", moderator))
        if has
    ]
    output = Output(as_json=as_json)
    output.record({"id": account_id, "name": name, "roles": given, "api_key": key})
    output.say(f"Account {name} is open{' as ' + ', '.join(given) if given else ''}.")
    output.say(f"  id       {account_id}")
    output.say(Text.assemble("  API key  ", (key, "bold green")))
    output.remark("Keep the key now: only its digest is stored, so it cannot be shown again.")
