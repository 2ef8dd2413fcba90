"""The ledger: what decides, one method for each command, grouped by what the commands change.

Every command keeps to two rules; tests/unit/domain/test_ledger_rules.py goes over all of them.

**Rights.** Whether an account may give a command is decided before it, by the caller, with the
functions of ``domain/*/rights.py`` (for requests: :meth:`Requests.check_rights`). No command looks
at the roles of its caller; ``by`` only says whose name stands in the history. What a command
does refuse follows from the streams that it changes: there is no such thing, it belongs to
another account than the command's, it is over already, or a limit is reached.

**Lost races.** Streams that change together are saved in one transaction, and the version of each
stream decides every race: the loser's transaction leaves nothing behind. Every command that saves
anything is then done again from its beginning, and refused with ``Locked`` after
:data:`domain.ledger.core.ATTEMPTS` attempts. In a transaction that its caller has open a command is
attempted once: what was read there stays read, so the ``IntegrityError`` goes to the caller, who
begins anew with a transaction of its own.
"""

from __future__ import annotations

from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, EventStore, Mapper

from domain.accounts.allowances import Allowances
from domain.accounts.funds import Funds
from domain.jobs.leases import Lifetimes
from domain.jobs.queue import WaitingQueue
from domain.ledger.accounts import Accounts
from domain.ledger.core import Core
from domain.ledger.endings import Endings
from domain.ledger.holds import KudosHolds
from domain.ledger.idempotency import IdempotencyStore
from domain.ledger.jobs import Jobs
from domain.ledger.kudos import Kudos
from domain.ledger.leasing import Leasing
from domain.ledger.modes import ServiceModes
from domain.ledger.ports import Directory, EndpointCounts, LoadedModels, SkippedRequests
from domain.ledger.requests import Requests
from domain.ledger.shared_keys import SharedKeys
from domain.ledger.webhooks import Webhooks
from domain.ledger.workers import Workers
from domain.models.catalogue import Models
from domain.ports import Clock, RandomSource, Transactions
from domain.sealing import Sealer


class Ledger(Application[UUID]):
    """All that can happen to requests, jobs, workers, accounts and webhooks, one part for each."""

    name = "ledger"

    def __init__(
        self,
        *,
        events: EventStore[UUID],
        transactions: Transactions,
        queue: WaitingQueue,
        directory: Directory,
        funds: Funds,
        endpoints: EndpointCounts,
        models: Models,
        sealer: Sealer,
        clock: Clock,
        random_source: RandomSource,
        lifetimes: Lifetimes,
        allowances: Allowances,
        idempotency: IdempotencyStore,
        loaded_models: LoadedModels,
        skipped_requests: SkippedRequests,
    ) -> None:
        """Build the ledger on its ports."""
        self._given_events = events
        super().__init__(env={})
        core = Core(self, transactions, clock, idempotency)
        endings = Endings(core, lifetimes)
        self.accounts = Accounts(core, directory, sealer, random_source)
        self.kudos = Kudos(core, directory, funds, allowances)
        self.shared_keys = SharedKeys(core, directory, funds)
        self.workers = Workers(core, directory, funds, random_source)
        self.modes = ServiceModes(core)
        self.webhooks = Webhooks(core, endpoints, funds, sealer, random_source)
        self.requests = Requests(
            core,
            KudosHolds(funds, directory, allowances, clock),
            endings,
            directory=directory,
            models=models,
            sealer=sealer,
            random_source=random_source,
            lifetimes=lifetimes,
        )
        leasing = Leasing(
            core,
            queue,
            endings,
            skipped_requests,
            models=models,
            sealer=sealer,
            random_source=random_source,
            lifetimes=lifetimes,
        )
        self.jobs = Jobs(core, self.workers, leasing, endings, loaded_models)

    def construct_recorder(self) -> ApplicationRecorder:
        """Use the recorder of the event store that the ledger was given."""
        recorder = self._given_events.recorder
        assert isinstance(recorder, ApplicationRecorder)
        return recorder

    def construct_mapper(self) -> Mapper[UUID]:
        """Use the mapper of the event store that the ledger was given."""
        return self._given_events.mapper

    def construct_event_store(self) -> EventStore[UUID]:
        """Use the event store that the ledger was given."""
        return self._given_events
