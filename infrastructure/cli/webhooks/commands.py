"""``hoard webhooks``: the deliveries and endpoints, what came of them, and resending."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from infrastructure.cli.accounts.lookup import account_named, id_from
from infrastructure.cli.terminal import options
from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.installation import opened
from infrastructure.cli.terminal.options import moment_from
from infrastructure.cli.terminal.output import Output

if TYPE_CHECKING:
    from domain.webhooks.delivery import WebhookDelivery
    from infrastructure.bootstrap import Hoard
    from projections.webhooks.history.reader import DeliveryRow

app = typer.Typer(help="Webhooks: list, show, test and resend deliveries.", no_args_is_help=True)

DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery.", show_default=False)]
Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="WHO",
        help="Only this account's: name#number, number, id or name; or anonymous.",
        show_default=False,
    ),
]
OfRequest = Annotated[
    str | None,
    typer.Option("--request", metavar="ID", help="Only this request's.", show_default=False),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only what was scheduled since: 2h, 7d, 2026-11-28T12:00.",
        show_default=False,
    ),
]

_PAGE = 500
_SECONDS_BETWEEN_LOOKS = 0.25


class State(StrEnum):
    """Where a delivery stands; see :class:`domain.webhooks.delivery.DeliveryState`."""

    DUE = "due"
    DELIVERED = "delivered"
    ABANDONED = "given_up"


@app.callback()
def _webhooks() -> None:
    """Webhooks: list, show, test and resend deliveries."""


@app.command("list")
def list_deliveries(
    account: Account = None,
    state: Annotated[
        State | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    request: OfRequest = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Deliveries at most.")] = 50,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """List deliveries, the last scheduled first."""
    from domain.webhooks.delivery import DeliveryState
    from infrastructure.cli.webhooks.lists import LIST_IS_BEHIND, is_list_behind, write_deliveries

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        account_id = None if account is None else _account_id(hoard, account)
        request_id = None if request is None else _request_id(request)
        moment = None if since is None else moment_from(since, hoard.clock.now())
        rows: list[DeliveryRow] = []
        size = min(_PAGE, limit)
        while len(rows) < limit:
            page = hoard.views.webhooks.page(
                account_id=account_id,
                state=None if state is None else DeliveryState(state),
                request_id=request_id,
                since=moment,
                page=len(rows) // size + 1,
                size=size,
            )
            rows.extend(page[: limit - len(rows)])
            if len(page) < size:
                break
        is_behind = is_list_behind(hoard)
    write_deliveries(output, rows)
    if is_behind:
        output.remark(LIST_IS_BEHIND)


@app.command()
def show(
    delivery: DeliveryId,
    address: Annotated[
        bool, typer.Option("--address", help="Show the whole address, not its host alone.")
    ] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a delivery and each of its attempts; how an answer began may be a secret."""
    from infrastructure.cli.webhooks.details import DeliveryDetails

    delivery_id = _delivery_id(delivery)
    with opened(data) as hoard:
        details = DeliveryDetails.read(hoard, _found(hoard, delivery_id), whole_address=address)
    details.write(Output(as_json=as_json))


@app.command()
def endpoints(
    account: Account = None,
    addresses: Annotated[
        bool, typer.Option("--addresses", help="Show whole addresses, not their hosts alone.")
    ] = False,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """List the endpoints of accounts: what is sent there, and how they answer."""
    from infrastructure.cli.webhooks.lists import endpoints_of, write_endpoints

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        whose = None if account is None else account_named(hoard, account)
        found = endpoints_of(hoard, whose, whole_addresses=addresses)
    write_endpoints(output, found)


@app.command()
def resend(
    delivery: Annotated[
        str | None, typer.Argument(metavar="ID", help="One delivery.", show_default=False)
    ] = None,
    failed_since: Annotated[
        str | None,
        typer.Option(
            "--failed-since",
            metavar="TIME",
            help="All that were abandoned since: 2h, 7d, 2026-11-28T12:00.",
            show_default=False,
        ),
    ] = None,
    account: Account = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Send one delivery again, or all that were abandoned since a time, under the same ids."""
    if (delivery is None) is (failed_since is None) or (delivery and account):
        raise CliError(
            "What is to be sent again?",
            advice="Name one delivery, or a time with --failed-since and perhaps --account.",
            exit_status=WRONGLY_ASKED,
        )
    from infrastructure.cli.webhooks.resending import resend_all, resend_one

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        if delivery is not None:
            resend_one(hoard, _found(hoard, _delivery_id(delivery)), output)
        elif failed_since is not None:
            account_id = None if account is None else _account_id(hoard, account)
            resend_all(hoard, moment_from(failed_since, hoard.clock.now()), account_id, output)


@app.command()
def tail(
    after: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="POSITION",
            help="Begin with what happened after it; with what is to come if not given.",
            show_default=False,
        ),
    ] = None,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what happens to deliveries, as it happens; Ctrl-C ends it."""
    from infrastructure.cli.history.log_reader import history_after
    from infrastructure.cli.webhooks.words import DeliveryLines

    output = Output(as_json=as_json)
    with opened(data) as hoard:
        position = hoard.storage.log.last_position() if after is None else after
        output.remark(f"What happens after position {position}; Ctrl-C ends it.")
        lines = DeliveryLines(hoard, output)
        while True:
            for recorded in history_after(hoard.storage.log, position, None):
                lines.write(recorded)
                position = recorded.position
            output.out.file.flush()
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@app.command("test")
def send_test(
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="The endpoint.", show_default=False)
    ],
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=300, help="Seconds to wait for the outcome.")
    ] = 30.0,
    data: options.Data = None,
    as_json: options.AsJson = False,
) -> None:
    """Send a test to an endpoint, also to a disabled one, and show the outcome.

    Exit status 1 when it does not arrive.
    """
    from infrastructure.cli.webhooks.details import DeliveryDetails

    endpoint_id = id_from(endpoint, what="endpoint", listed_by="hoard webhooks endpoints")
    output = Output(as_json=as_json)
    with opened(data) as hoard:
        delivery_id = _scheduled_test(hoard, endpoint_id)
        output.remark(f"Test {delivery_id} is due.")
        until = time.monotonic() + wait
        while (
            sent := hoard.ledger.webhooks.delivery(delivery_id)
        ).is_due and time.monotonic() < until:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        details = DeliveryDetails.read(hoard, sent, whole_address=False)
    if sent.is_due:
        raise CliError(
            f"Nothing was sent within {wait:g} s.",
            advice="Does `hoard up` run here, and its program `webhooks` with it? "
            f"`hoard webhooks show {delivery_id}` shows the outcome later.",
        )
    details.write_outcome(output)
    if not details.is_delivered:
        raise typer.Exit(1)


def _account_id(hoard: Hoard, who: str) -> UUID:
    from domain.accounts.account import ANONYMOUS_ID

    if who.strip().lower() in {"anonymous", "anonymous#0", "0"}:
        return ANONYMOUS_ID
    return account_named(hoard, who).account_id


def _scheduled_test(hoard: Hoard, endpoint_id: UUID) -> UUID:
    from domain.return_codes import Refused

    try:
        owner = hoard.ledger.webhooks.endpoint(endpoint_id).account_id
        return hoard.ledger.webhooks.test_endpoint(endpoint_id, account_id=owner)
    except Refused as refused:
        if refused.code.name != "WebhookNotFound":
            raise
        raise CliError(
            f"There is no endpoint {endpoint_id}.",
            advice="`hoard webhooks endpoints` lists those there are.",
        ) from None


def _delivery_id(text: str) -> UUID:
    return id_from(text, what="delivery", listed_by="hoard webhooks list")


def _request_id(text: str) -> UUID:
    return id_from(text, what="request", listed_by="hoard events")


def _found(hoard: Hoard, delivery_id: UUID) -> WebhookDelivery:
    from domain.return_codes import Refused

    try:
        return hoard.ledger.webhooks.delivery(delivery_id)
    except Refused:
        raise CliError(
            f"There is no delivery {delivery_id}.",
            advice="`hoard webhooks list` lists those there are.",
        ) from None
