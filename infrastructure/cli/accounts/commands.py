"""``hoard accounts``: shows and changes accounts, keys, roles and kudos."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from infrastructure.cli.accounts.lookup import account_called
from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.output import Column, Output, counted

if TYPE_CHECKING:
    from domain.accounts.directory import AccountEntry
    from domain.accounts.roles import Roles
    from infrastructure.bootstrap import Hoard

app = typer.Typer(help="Accounts and their API keys.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="The account: name#number, its number, or its name.")]

_PAGE = 500


class Role(StrEnum):
    """What an account may be; see :class:`domain.accounts.roles.Roles`."""

    TRUSTED = "trusted"
    PATRON = "patron"
    MODERATOR = "moderator"
    ADMIN = "admin"
    SERVICE = "service"
    CUSTOMIZER = "customizer"
    SPECIAL = "special"
    EDUCATION = "education"
    VPN = "vpn"
    FLAGGED = "flagged"


@app.callback()
def _accounts() -> None:
    """Accounts and their API keys."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the account, 1 to 30 characters.")],
    trusted: Annotated[
        bool, typer.Option("--trusted", help="May run 20 workers and disable batching.")
    ] = False,
    patron: Annotated[bool, typer.Option("--patron", help="May disable batching.")] = False,
    moderator: Annotated[
        bool, typer.Option("--moderator", help="Has the rights of moderators.")
    ] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="Has all rights, and may make moderators.")
    ] = False,
    role: Annotated[
        list[Role] | None, typer.Option("--role", help="Another role; repeatable.")
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Open an account and show its API key, once.

    Only a digest of the key is stored. `hoard accounts key` replaces a lost key.
    """
    from domain.accounts.roles import Roles
    from domain.names import LONGEST_USER_NAME, NUMBER_SIGN
    from infrastructure.keys.api_keys import digest_of, new_api_key

    name = name.strip()
    fits = 1 <= len(name) <= LONGEST_USER_NAME and name.isprintable()
    if not fits or NUMBER_SIGN in name:
        raise CliError(
            f"A name has 1 to {LONGEST_USER_NAME} characters that can be printed, and no "
            f"{NUMBER_SIGN}.",
            advice="Choose another name.",
            exit_status=WRONGLY_ASKED,
        )
    key = new_api_key()
    flags = {"trusted": trusted, "patron": patron, "moderator": moderator, "admin": admin}
    roles = Roles(**(flags | {each.value: True for each in role or ()}))
    with opened(data, or_made=True) as hoard:
        account_id = hoard.ledger.accounts.open(name, digest_of(key), roles)
        entry = hoard.inline.directory.account(account_id)
        number = entry.number if entry is not None else 0

    given = _names(roles)
    output = Output(as_json=as_json)
    output.record(
        {"id": account_id, "number": number, "name": name, "roles": given, "api_key": key}
    )
    output.say(f"Account {name} is open{' as ' + ', '.join(given) if given else ''}.")
    output.say(f"  id       {account_id}")
    output.say(f"  called   {name}{NUMBER_SIGN}{number}")
    _say_key(output, key)


@app.command("list")
def list_accounts(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of accounts.")] = 100,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """List the accounts, the oldest first; deleted ones are left out."""
    output = Output(as_json=as_json)
    rows: list[tuple[object, ...]] = []
    with opened(data) as hoard:
        after = 0
        while len(rows) < limit:
            page = hoard.inline.directory.accounts(after=after, limit=min(_PAGE, limit - len(rows)))
            if not page:
                break
            after = page[-1].number
            for entry in page:
                fields = _fields(hoard, entry)
                output.record(fields)
                rows.append(
                    (
                        fields["number"],
                        fields["name"],
                        " ".join(fields["roles"]) or "–",
                        f"{fields['kudos']:.2f}",
                        fields["workers"],
                        fields["opened_at"],
                    )
                )
    output.table(
        (
            Column("number", right=True),
            Column("name"),
            Column("roles"),
            Column("kudos", right=True),
            Column("workers", right=True),
            Column("opened"),
        ),
        rows,
    )
    output.remark(f"{counted(len(rows), 'account')}.")


@app.command()
def show(who: Who, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Show an account."""
    output = Output(as_json=as_json)
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        fields = _fields(hoard, entry)
        record = hoard.views.accounts.record(entry.account_id)
        balance = hoard.inline.kudos.balance(entry.account_id)
    details = {
        **fields,
        "deleted": entry.deleted,
        "concurrency": entry.concurrency,
        "worker_invited": entry.worker_invited,
        "public_workers": entry.public_workers,
        "requests": record.requests,
        "images_used": record.images_used,
        "images_made": record.images_made,
        "balance": {name: amount / 100 for name, amount in asdict(balance).items()},
    }
    output.record(details)
    for name, value in details.items():
        if name == "balance":
            value = ", ".join(f"{figure} {amount:.2f}" for figure, amount in value.items())
        elif name == "roles":
            value = " ".join(value) or "–"
        output.say(f"{name:15} {value if value is not None else '–'}")


@app.command()
def roles(
    who: Who,
    give: Annotated[
        list[Role] | None, typer.Option("--give", help="Role to give; repeatable.")
    ] = None,
    take: Annotated[
        list[Role] | None, typer.Option("--take", help="Role to take; repeatable.")
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Give an account roles, or take them."""
    from domain.accounts.changes import AccountChange

    changed = {each.value: True for each in give or ()} | {each.value: False for each in take or ()}
    if not changed:
        raise CliError(
            "No role is named.",
            advice=f"Name some with --give and --take: {', '.join(Role)}.",
            exit_status=WRONGLY_ASKED,
        )
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        hoard.ledger.accounts.change(entry.account_id, AccountChange(roles=changed), by=None)
        has = _names(account_called(hoard, str(entry.number)).roles)
    output = Output(as_json=as_json)
    output.record({"number": entry.number, "name": entry.name, "roles": has})
    output.say(f"{entry.handle} is {', '.join(has) if has else 'an account without roles'}.")


@app.command()
def key(who: Who, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Replace the API key and show the new one, once."""
    from infrastructure.keys.api_keys import digest_of, new_api_key

    made = new_api_key()
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        hoard.ledger.accounts.regenerate_key(entry.account_id, digest_of(made))
    output = Output(as_json=as_json)
    output.record({"number": entry.number, "name": entry.name, "api_key": made})
    output.say(f"{entry.handle} has a new key; the old one ends within five seconds.")
    _say_key(output, made)


@app.command()
def award(
    who: Who,
    kudos: Annotated[
        float, typer.Argument(help="Amount; negative takes kudos (write -- before it).")
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="Reason for the history; no personal data.")
    ] = "awarded by the operator",
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Award or take kudos; held kudos are not taken."""
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        awarded = hoard.ledger.kudos.award(entry.account_id, kudos, by=None, reason=reason)
        available = hoard.inline.kudos.balance(entry.account_id).available / 100
    output = Output(as_json=as_json)
    output.record(
        {"number": entry.number, "name": entry.name, "awarded": awarded, "kudos": available}
    )
    output.say(f"{entry.handle} got {awarded:.2f} kudos and can spend {available:.2f} now.")


@app.command()
def delete(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Close an account and delete its sealed data for good."""
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        if not yes:
            typer.confirm(f"Delete {entry.handle} and its personal data?", abort=True)
        hoard.ledger.accounts.delete(entry.account_id, by=None)
    output = Output(as_json=as_json)
    output.record({"number": entry.number, "name": entry.name, "deleted": True})
    output.say(f"{entry.handle} is deleted; `hoard accounts restore` reopens it.")


@app.command()
def restore(who: Who, data: options.Data = None, as_json: options.AsJson = False) -> None:
    """Reopen a deleted account; deleted personal data stays deleted."""
    with opened(data) as hoard:
        entry = account_called(hoard, who)
        hoard.ledger.accounts.restore(entry.account_id, by=None)
    output = Output(as_json=as_json)
    output.record({"number": entry.number, "name": entry.name, "deleted": False})
    output.say(f"{entry.handle} is open again.")


def _fields(hoard: Hoard, entry: AccountEntry) -> dict[str, Any]:
    return {
        "id": entry.account_id,
        "number": entry.number,
        "name": entry.name,
        "roles": _names(entry.roles),
        "kudos": hoard.inline.kudos.balance(entry.account_id).available / 100,
        "workers": hoard.inline.directory.workers_of(entry.account_id),
        "opened_at": entry.opened_at.isoformat(timespec="seconds") if entry.opened_at else "–",
    }


def _names(roles: Roles) -> list[str]:
    return [role.value for role in Role if getattr(roles, role.value)]


def _say_key(output: Output, made: str) -> None:
    output.say(Text.assemble("  API key  ", (made, "bold green")))
    output.remark("Save the key now: only its digest is stored, so it cannot be shown again.")
