"""The composition root: the one place where the parts of Hoard meet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from domain.accounts.allowances import Allowances
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.jobs.lifetimes import Lifetimes
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
class Hoard:
    """Everything assembled: one object for each part, ready to be used by any process."""

    settings: Settings
    clock: Clock
    random_source: RandomSource
    ledger: Ledger
    log: EventLog
    ledger_database: Database
    view_database: Database
    queue: Queue
    directory: AccountDirectory
    kudos: Kudos
    deliveries: DueDeliveries
    claims: DeliveryClaims
    status: StatusReader
    backlog: BacklogReader
    workers: WorkersReader
    accounts: AccountsReader
    presence: Presence
    models: ModelsReader
    catalogue: ModelCatalogue
    loras: AsGiven | CachedLoraVersions
    modes: ModesReader
    news: NewsFile
    statistics: StatisticsReader
    webhooks: DeliveryHistoryReader
    inline_views: tuple[View, ...]
    followers: tuple[ViewFollower, ...]
    blobs: FolderBlobs
    uploads: Uploads
    keys: PersonalKeys
    content_filter: WordListFilter
    messages: MessageTable
    timeouts: AddressTimeouts
    address_digest: AddressDigests
    repeats: IdempotencyTable
    keyed_digest: KeyedDigests
    signer: AddressSigner
    webhook_keys: WebhookKeys
    outbound: Outbound
    webhook_posts: WebhookPosts
    wakeups: ProcessWakeups

    @property
    def operator(self) -> AccountEntry:
        """The account of the in-cluster workers, opened on first use."""
        entry = self.directory.account_by_name(OPERATOR)
        if entry is None:
            # Its key is thrown away: nobody but processes of this installation act for it.
            self.ledger.accounts.open(OPERATOR, digest_of(new_api_key()), Roles(trusted=True))
            entry = self.directory.account_by_name(OPERATOR)
            assert entry is not None
        return entry

    def close(self) -> None:
        """Let go of the databases."""
        self.wakeups.close()
        self.loras.close()
        self.outbound.close()
        self.webhook_posts.close()
        self.ledger.close()
        self.ledger_database.close()
        self.view_database.close()


def assemble(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random_source: RandomSource | None = None,
    migrate: bool = True,
) -> Hoard:
    """Build Hoard as the settings say.

    :param clock: where time comes from, the machine's clock if not given.
    :param chance: where randomness comes from, the machine's if not given.
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

    mapper = EventMapper()
    positions = EventRecorder(ledger_database)
    queue = Queue(ledger_database, positions.horizon)
    directory = AccountDirectory(ledger_database)
    kudos = Kudos(ledger_database)
    deliveries = DueDeliveries(ledger_database)
    inline_views: tuple[View, ...] = (queue, directory, kudos, ModesView(), deliveries)
    wakeups = _wakeups(settings)
    inline = announcing(applied_inline(inline_views, mapper), ledger_database, wakeups)
    recorder = EventRecorder(ledger_database, inline)
    log = EventLog(recorder, mapper)
    master_key = _master_key(settings)
    keys = PersonalKeys(ledger_database, master_key)
    address_digest = AddressDigests(master_key)
    catalogue = ModelCatalogue.in_folder(settings.data)
    repeats = IdempotencyTable(ledger_database)
    ledger = Ledger(
        events=StreamCache(mapper, recorder, ledger_database),
        transactions=ledger_database,
        queue=queue,
        directory=directory,
        funds=kudos,
        models=catalogue,
        sealer=keys,
        clock=clock,
        random_source=random_source,
        lifetimes=_lifetimes(settings),
        allowances=allowances_of(settings),
        repeats=repeats,
        loaded_models=RememberedModels(),
        skipped_requests=RememberedSkips(),
    )
    presence = Presence(view_database, clock)
    return Hoard(
        settings=settings,
        clock=clock,
        random_source=random_source,
        ledger=ledger,
        log=log,
        ledger_database=ledger_database,
        view_database=view_database,
        queue=queue,
        directory=directory,
        kudos=kudos,
        deliveries=deliveries,
        claims=DeliveryClaims(ledger_database, clock),
        status=StatusReader(view_database, log),
        backlog=BacklogReader(view_database),
        workers=WorkersReader(view_database),
        accounts=AccountsReader(view_database),
        presence=presence,
        models=ModelsReader(view_database, presence),
        catalogue=catalogue,
        loras=_lora_versions(settings, view_database, clock),
        modes=ModesReader(ledger_database),
        news=NewsFile(settings.data),
        statistics=StatisticsReader(view_database),
        webhooks=DeliveryHistoryReader(view_database),
        inline_views=inline_views,
        followers=tuple(ViewFollower(view, log, view_database) for view in follower_views()),
        blobs=FolderBlobs(settings.blob_folder),
        uploads=Uploads(ledger_database),
        keys=keys,
        content_filter=WordListFilter(settings.data),
        messages=MessageTable(ledger_database, clock),
        timeouts=AddressTimeouts(ledger_database, address_digest, clock),
        address_digest=address_digest,
        repeats=repeats,
        keyed_digest=KeyedDigests(master_key),
        signer=AddressSigner(master_key, clock),
        webhook_keys=WebhookKeys(master_key),
        outbound=Outbound(permitted=settings.permitted_networks, proxy=settings.egress),
        webhook_posts=WebhookPosts(
            permitted=settings.permitted_networks,
            at_once=POSTS_AT_ONCE,
            proxy=settings.egress,
            plain_http=settings.webhook_http,
        ),
        wakeups=wakeups,
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
        # Nobody else can see what is committed, or they have to look for it.
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
