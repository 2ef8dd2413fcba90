"""The composition root: the one module where the parts of Hoard are joined."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from domain.accounts.allowances import Allowances
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.jobs.leases import Lifetimes
from domain.ledger import Ledger
from domain.ports import Clock, RandomSource
from infrastructure.keys.address_digests import AddressDigests
from infrastructure.keys.api_keys import digest_of, new_api_key
from infrastructure.keys.master_key import parse_master_key, read_or_make_master_key
from infrastructure.keys.personal_keys import PersonalKeys
from infrastructure.keys.signing import AddressSigner
from infrastructure.models.catalogue import ModelCatalogue
from infrastructure.models.civitai import Civitai
from infrastructure.models.lora_versions import AsGiven, CachedLoraVersions
from infrastructure.outbound.guard import Outbound
from infrastructure.requests.idempotency import IdempotencyTable, KeyedDigests
from infrastructure.requests.uploads import Uploads
from infrastructure.service.documents import DocumentFiles
from infrastructure.service.forbidden_words import WordListFilter
from infrastructure.service.news import NewsFile
from infrastructure.service.timeouts import AddressTimeouts
from infrastructure.settings.environment import Settings
from infrastructure.storage.blobs import FolderBlobs
from infrastructure.storage.database import Database, normalised_url
from infrastructure.storage.event_log import EventLog, announcing, applied_inline
from infrastructure.storage.event_mapper import EventMapper
from infrastructure.storage.event_store import EventRecorder
from infrastructure.storage.schema import migrate_ledger, migrate_views
from infrastructure.storage.stream_cache import StreamCache
from infrastructure.system import SystemClock, SystemRandomSource
from infrastructure.wakeups.broadcast import ProcessWakeups
from infrastructure.wakeups.redis_channels import SCHEMES, RedisChannels
from infrastructure.webhooks.claims import DeliveryClaims
from infrastructure.webhooks.keys import WebhookKeys
from infrastructure.webhooks.posts import POSTS_AT_ONCE, WebhookPosts
from infrastructure.workers.loaded_models import RememberedModels
from infrastructure.workers.messages import MessageTable
from infrastructure.workers.skipped_requests import RememberedSkips
from projections.accounts.reader import AccountsReader
from projections.backlog.reader import BacklogReader
from projections.directory.view import AccountDirectory
from projections.following.views import ViewFollower
from projections.kudos.view import Kudos
from projections.models.reader import ModelsReader
from projections.queue.view import Queue
from projections.registry import follower_views
from projections.service.modes import ModesReader, ModesView
from projections.statistics.reader import StatisticsReader
from projections.status.reader import StatusReader
from projections.view import View
from projections.webhooks.due.reader import DueDeliveries
from projections.webhooks.history.reader import DeliveryHistoryReader
from projections.workers.presence import Presence
from projections.workers.reader import WorkersReader

OPERATOR = "operator"
"""Name of the built-in account that the in-cluster workers belong to."""


@dataclass(frozen=True)
class Storage:
    """What is kept: the log, the tables beside it, and the images."""

    ledger_database: Database
    view_database: Database
    """The ledger's database again, where both are one SQLite file."""
    log: EventLog
    blobs: FolderBlobs
    uploads: Uploads
    idempotency: IdempotencyTable


@dataclass(frozen=True)
class InlineViews:
    """Views that change in the transaction of the events."""

    queue: Queue
    directory: AccountDirectory
    kudos: Kudos
    modes: ModesReader
    deliveries: DueDeliveries
    all: tuple[View, ...]
    """What the recorder applies events to."""


@dataclass(frozen=True)
class Views:
    """Readers of the views that follow the log, and the followers that keep them."""

    status: StatusReader
    backlog: BacklogReader
    workers: WorkersReader
    accounts: AccountsReader
    presence: Presence
    models: ModelsReader
    statistics: StatisticsReader
    webhooks: DeliveryHistoryReader
    followers: tuple[ViewFollower, ...]


@dataclass(frozen=True)
class Secrets:
    """What seals, signs and digests under the master key."""

    personal_keys: PersonalKeys
    address_digest: AddressDigests
    keyed_digest: KeyedDigests
    signer: AddressSigner


@dataclass(frozen=True)
class Moderation:
    """What operators and moderators set for everybody; none of it is history."""

    content_filter: WordListFilter
    messages: MessageTable
    timeouts: AddressTimeouts
    news: NewsFile
    documents: DocumentFiles


@dataclass(frozen=True)
class Sending:
    """What sends webhooks."""

    claims: DeliveryClaims
    keys: WebhookKeys
    posts: WebhookPosts


@dataclass(frozen=True)
class Hoard:
    """Everything assembled, ready to be used by any process."""

    settings: Settings
    clock: Clock
    random_source: RandomSource
    ledger: Ledger
    storage: Storage
    inline: InlineViews
    views: Views
    catalogue: ModelCatalogue
    loras: AsGiven | CachedLoraVersions
    secrets: Secrets
    moderation: Moderation
    outbound: Outbound
    sending: Sending
    wakeups: ProcessWakeups

    @property
    def operator(self) -> AccountEntry:
        """The account of the in-cluster workers, opened on first use."""
        entry = self.inline.directory.account_by_name(OPERATOR)
        if entry is None:
            # Its key is discarded: only processes of this installation act for it.
            self.ledger.accounts.open(OPERATOR, digest_of(new_api_key()), Roles(trusted=True))
            entry = self.inline.directory.account_by_name(OPERATOR)
            assert entry is not None
        return entry

    def close(self) -> None:
        """Let go of the databases."""
        self.wakeups.close()
        self.loras.close()
        self.outbound.close()
        self.sending.posts.close()
        self.ledger.close()
        self.storage.ledger_database.close()
        self.storage.view_database.close()


def assemble(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random_source: RandomSource | None = None,
    migrate: bool = True,
) -> Hoard:
    """Build Hoard as the settings say.

    :param clock: where time comes from, the machine's clock if not given.
    :param random_source: where randomness comes from, the machine's if not given.
    :param migrate: whether to bring the databases' tables up to date first.
    """
    clock = clock or SystemClock()
    random_source = random_source or SystemRandomSource()
    if settings.ledger_database.startswith("sqlite:///"):
        settings.data.mkdir(parents=True, exist_ok=True)
    ledger_database = Database(settings.ledger_database)
    view_database = _view_database(settings, ledger_database)
    if migrate:
        migrate_ledger(ledger_database)
        migrate_views(view_database)

    master_key = _master_key(settings)
    secrets = Secrets(
        personal_keys=PersonalKeys(ledger_database, master_key),
        address_digest=AddressDigests(master_key),
        keyed_digest=KeyedDigests(master_key),
        signer=AddressSigner(master_key, clock),
    )
    wakeups = _wakeups(settings)
    mapper = EventMapper()
    inline = _inline_views(ledger_database)
    recorder = EventRecorder(
        ledger_database, announcing(applied_inline(inline.all, mapper), ledger_database, wakeups)
    )
    storage = Storage(
        ledger_database=ledger_database,
        view_database=view_database,
        log=EventLog(recorder, mapper),
        blobs=FolderBlobs(settings.blob_folder),
        uploads=Uploads(ledger_database),
        idempotency=IdempotencyTable(ledger_database),
    )
    catalogue = ModelCatalogue.in_folder(settings.data)
    ledger = Ledger(
        events=StreamCache(mapper, recorder, ledger_database),
        transactions=ledger_database,
        queue=inline.queue,
        directory=inline.directory,
        funds=inline.kudos,
        endpoints=inline.deliveries,
        models=catalogue,
        sealer=secrets.personal_keys,
        clock=clock,
        random_source=random_source,
        lifetimes=_lifetimes(settings),
        allowances=allowances_of(settings),
        idempotency=storage.idempotency,
        loaded_models=RememberedModels(),
        skipped_requests=RememberedSkips(),
    )
    return Hoard(
        settings=settings,
        clock=clock,
        random_source=random_source,
        ledger=ledger,
        storage=storage,
        inline=inline,
        views=_views(storage, clock),
        catalogue=catalogue,
        loras=_lora_versions(settings, view_database, clock),
        secrets=secrets,
        moderation=Moderation(
            content_filter=WordListFilter(settings.data),
            messages=MessageTable(ledger_database, clock),
            timeouts=AddressTimeouts(ledger_database, secrets.address_digest, clock),
            news=NewsFile(settings.data),
            documents=DocumentFiles(settings.data),
        ),
        outbound=Outbound(permitted=settings.permitted_networks, proxy=settings.egress),
        sending=Sending(
            claims=DeliveryClaims(ledger_database, clock),
            keys=WebhookKeys(master_key),
            posts=WebhookPosts(
                permitted=settings.permitted_networks,
                at_once=POSTS_AT_ONCE,
                proxy=settings.egress,
                plain_http=settings.webhook_http,
            ),
        ),
        wakeups=wakeups,
    )


def _inline_views(database: Database) -> InlineViews:
    queue = Queue(database, EventRecorder(database).horizon)
    directory, kudos, deliveries = (
        AccountDirectory(database),
        Kudos(database),
        DueDeliveries(database),
    )
    return InlineViews(
        queue=queue,
        directory=directory,
        kudos=kudos,
        modes=ModesReader(database),
        deliveries=deliveries,
        all=(queue, directory, kudos, ModesView(), deliveries),
    )


def _views(storage: Storage, clock: Clock) -> Views:
    database, log = storage.view_database, storage.log
    presence = Presence(database, clock)
    return Views(
        status=StatusReader(database, log),
        backlog=BacklogReader(database),
        workers=WorkersReader(database),
        accounts=AccountsReader(database),
        presence=presence,
        models=ModelsReader(database, presence),
        statistics=StatisticsReader(database),
        webhooks=DeliveryHistoryReader(database),
        followers=tuple(ViewFollower(view, log, database) for view in follower_views()),
    )


def _view_database(settings: Settings, ledger_database: Database) -> Database:
    url = settings.views_database
    if ledger_database.is_sqlite and url == settings.ledger_database:
        # One file has one writer, and a database in memory only one connection.
        return ledger_database
    return Database(url, durable=False)


def _wakeups(settings: Settings) -> ProcessWakeups:
    ledger = normalised_url(settings.ledger_database)
    is_shared = ledger.drivername != "sqlite" or ledger.database not in {None, "", ":memory:"}
    if not is_shared or settings.broker.partition("://")[0] not in SCHEMES:
        # No other process can see what is committed, or it has to look for it.
        return ProcessWakeups()
    return ProcessWakeups(RedisChannels(settings.broker))


def _master_key(settings: Settings) -> bytes:
    if settings.master_key is not None:
        return parse_master_key(settings.master_key.get_secret_value())
    return read_or_make_master_key(settings.master_key_file)


def _lora_versions(
    settings: Settings, view_database: Database, clock: Clock
) -> AsGiven | CachedLoraVersions:
    if settings.civitai_url is None:
        return AsGiven()
    return CachedLoraVersions(
        view_database,
        Civitai(settings.civitai_url, timeout=settings.civitai_timeout_seconds),
        clock,
        fresh=timedelta(seconds=settings.civitai_fresh_seconds),
        wait=settings.civitai_wait_seconds,
    )


def allowances_of(settings: Settings) -> Allowances:
    """Return what the settings allow accounts."""
    return Allowances(
        concurrency=settings.concurrency,
        trust_kudos=settings.trust_kudos,
        trust_age=timedelta(days=settings.trust_age_days),
    )


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(
        minimum_lease=timedelta(seconds=settings.lease_minimum_seconds),
        request=timedelta(seconds=settings.request_lifetime_seconds),
    )
