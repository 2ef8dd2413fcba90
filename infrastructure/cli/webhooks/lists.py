"""Lists of webhook deliveries and of endpoints, as operators see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from api.v2.webhooks.notices import notice_of
from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from infrastructure.bootstrap import Hoard
from infrastructure.cli.terminal.output import Column, Output, counted, instant
from infrastructure.cli.webhooks.words import host_of, in_words, opened_text, outcome
from projections.webhooks.due.reader import EndpointEntry
from projections.webhooks.history.reader import DeliveryRow

LIST_IS_BEHIND = "More has happened since: `hoard projections status` tells how far the list is."
"""The remark where the list of deliveries lacks what happened last."""

_PAGE = 500


def is_list_behind(hoard: Hoard) -> bool:
    """Return whether the list of deliveries lacks what happened last."""
    (follower,) = [each for each in hoard.views.followers if each.view.name == "webhooks"]
    return follower.position() < hoard.storage.log.last_position()


def write_deliveries(output: Output, rows: Sequence[DeliveryRow]) -> None:
    """Write deliveries; on a terminal, which has little room, with their own ids only."""
    for row in rows:
        output.record(asdict(row))
    wide = not output.on_terminal
    columns = [
        Column("delivery"),
        Column("scheduled"),
        Column("kind"),
        Column("attempts", right=True),
        Column("last"),
        Column("state"),
    ]
    if wide:
        columns += [Column("request"), Column("endpoint")]
    output.table(columns, [_cells(row, wide=wide) for row in rows])
    output.remark(f"{len(rows)} {'delivery' if len(rows) == 1 else 'deliveries'}.")


def _cells(row: DeliveryRow, *, wide: bool) -> Sequence[object]:
    at = row.scheduled_at
    cells = (
        row.delivery_id,
        instant(at) if wide else f"{at.astimezone():%m-%d %H:%M:%S}",
        row.kind,
        row.attempts,
        outcome(row.last_status, row.last_problem),
        _state_of_delivery(row, wide=wide),
    )
    return (*cells, row.request_id or "–", row.endpoint_id or "–") if wide else cells


def _state_of_delivery(row: DeliveryRow, *, wide: bool) -> str:
    """Return the state of a delivery, and when it is due or why it is not."""
    if row.given_up_because is not None:
        return f"abandoned: {in_words(row.given_up_because)}"
    if row.due_at is None:
        return row.state
    return f"due {instant(row.due_at) if wide else f'{row.due_at.astimezone():%H:%M:%S}'}"


@dataclass(frozen=True, slots=True)
class EndpointDetails:
    """An endpoint and how it answers."""

    entry: EndpointEntry
    account: str
    where: str
    """Its host, or its whole address."""
    failures: int
    """Attempts in a row that failed, up to the last."""
    blocked_until: datetime | None
    """Until when only tests are sent there; None where anything may be sent now."""
    notice: str | None


def endpoints_of(
    hoard: Hoard, whose: AccountEntry | None, *, whole_addresses: bool
) -> Sequence[EndpointDetails]:
    """Return the endpoints of an account, or of all, by the accounts' numbers.

    :param whole_addresses: whether addresses are shown, not their hosts alone.
    """
    found = []
    now = hoard.clock.now()
    for accounts in _accounts(hoard) if whose is None else [[whose]]:
        entries = hoard.inline.deliveries.endpoints_of([account.account_id for account in accounts])
        for account in accounts:
            for entry in entries.get(account.account_id, ()):
                address = opened_text(
                    hoard, hoard.ledger.webhooks.endpoint(entry.endpoint_id).address
                )
                health = hoard.inline.deliveries.health(entry.endpoint_id)
                found.append(
                    EndpointDetails(
                        entry=entry,
                        account=account.handle,
                        where=address if whole_addresses else host_of(address),
                        failures=health.failures,
                        blocked_until=health.blocked_until(now),
                        notice=notice_of(entry.disabled, health, now),
                    )
                )
    return found


def write_endpoints(output: Output, found: Sequence[EndpointDetails]) -> None:
    """Write endpoints as a table, and what is wrong with some below it."""
    for each in found:
        output.record(
            {
                "endpoint_id": each.entry.endpoint_id,
                "account_id": each.entry.account_id,
                "account": each.account,
                "to": each.where,
                "events": each.entry.kinds,
                "disabled_because": each.entry.disabled,
                "failures": each.failures,
                "resting_until": each.blocked_until,
                "created_at": each.entry.created_at,
                "notice": each.notice,
            }
        )
    output.table(
        [
            Column("endpoint"),
            Column("account"),
            Column("to"),
            Column("events"),
            Column("state"),
            Column("failures", right=True),
        ],
        [
            (
                each.entry.endpoint_id,
                each.account,
                each.where,
                " ".join(each.entry.kinds) or "–",
                _state_of_endpoint(each),
                each.failures,
            )
            for each in found
        ],
    )
    output.remark(f"{counted(len(found), 'endpoint')}.")
    for each in found:
        if each.notice is not None:
            output.say(f"{each.entry.endpoint_id}: {each.notice}")


def _state_of_endpoint(endpoint: EndpointDetails) -> str:
    if endpoint.entry.disabled is not None:
        return f"disabled: {endpoint.entry.disabled.value.replace('_', ' ')}"
    return "enabled" if endpoint.blocked_until is None else "circuit open"


def _accounts(hoard: Hoard) -> Iterator[Sequence[AccountEntry]]:
    after = 0
    while accounts := hoard.inline.directory.accounts(after=after, limit=_PAGE):
        yield [account for account in accounts if account.account_id != ANONYMOUS_ID]
        after = accounts[-1].number
