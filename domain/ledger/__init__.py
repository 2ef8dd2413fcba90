"""The ledger: one method per command, each deciding on no more streams than it changes."""

from __future__ import annotations

from domain.ledger.accounts import AccountCommands
from domain.ledger.asking import AskingCommands
from domain.ledger.kudos import KudosCommands
from domain.ledger.leasing import LeasingCommands
from domain.ledger.modes import ModesCommands
from domain.ledger.renewing import RenewingCommands
from domain.ledger.replicating import ReplicatingCommands
from domain.ledger.shared_keys import SharedKeyCommands
from domain.ledger.webhook_deliveries import WebhookDeliveryCommands
from domain.ledger.workers import WorkerCommands


class Ledger(
    AskingCommands,
    ReplicatingCommands,
    LeasingCommands,
    RenewingCommands,
    AccountCommands,
    ModesCommands,
    KudosCommands,
    SharedKeyCommands,
    WorkerCommands,
    WebhookDeliveryCommands,
):
    """All that can happen to requests, jobs, workers and accounts.

    Streams that change together are saved in one transaction. Optimistic concurrency on the stream
    version decides every race: the loser's transaction leaves nothing behind, and it tries again.
    """
