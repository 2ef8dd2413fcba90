"""Looks up accounts by the ids and names that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError

if TYPE_CHECKING:
    from domain.accounts.directory import AccountEntry
    from infrastructure.bootstrap import Hoard


def id_from(text: str, *, what: str, listed_by: str) -> UUID:
    """Return the id that a text is.

    :param what: what has such ids, such as ``delivery``.
    :param listed_by: the command that lists them.
    :raises CliError: when it is not an id.
    """
    try:
        return UUID(text.strip())
    except ValueError:
        raise CliError(
            f"{text} is not an id of a{'n' if what[0] in 'aeiou' else ''} {what}.",
            advice="Ids look like 8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e; "
            f"`{listed_by}` lists them.",
            exit_status=WRONGLY_ASKED,
        ) from None


def account_called(hoard: Hoard, who: str) -> AccountEntry:
    """Return an account by ``name#number``, by its number or by its name.

    :raises CliError: when there is none.
    """
    from domain.names import named_and_numbered, number_from

    handle = named_and_numbered(who)
    number = handle[1] if handle is not None else number_from(who)
    entry = None
    if number is not None:
        entry = hoard.inline.directory.account_by_number(number)
    if entry is None:
        entry = hoard.inline.directory.account_by_name(who)
    if entry is None:
        raise CliError(
            f"There is no account {who}.", advice="See `hoard accounts list`, or name its number."
        )
    return entry


def account_named(hoard: Hoard, who: str) -> AccountEntry:
    """Return an account by its id too, beside what :func:`account_called` takes.

    :raises CliError: when there is none.
    """
    account_id = _id_or_none(who)
    entry = None if account_id is None else hoard.inline.directory.account(account_id)
    return account_called(hoard, who) if entry is None else entry


def _id_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
