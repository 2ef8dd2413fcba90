"""What the API is given by the composition root: everything behind the routes."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from api.tracking.pace import Pace
from domain.accounts.allowances import Allowances
from domain.accounts.funds import Funds
from domain.content_filter import ContentFilter
from domain.images.addresses import Signer
from domain.ledger import Ledger
from domain.models.catalogue import Models, UnknownModels
from domain.models.loras import LoraVersions
from domain.ports import Clock, RandomSource
from domain.sealing import Sealer
from domain.service.fetching import Fetcher
from domain.service.news import News
from domain.service.timeouts import Timeouts
from domain.workers.messages import WorkerMessages
from projections.accounts.reader import AccountsReader
from projections.backlog.reader import BacklogReader
from projections.directory.view import AccountDirectory
from projections.following.wakeups import Wakeups
from projections.models.reader import ModelsReader
from projections.service.modes import ModesReader
from projections.statistics.recent import RecentStatistics
from projections.status.reader import StatusReader
from projections.view import Log
from projections.webhooks.due.reader import DueDeliveries
from projections.webhooks.history.reader import DeliveryHistoryReader
from projections.workers.presence import Presence
from projections.workers.reader import WorkersReader


class Blobs(Protocol):
    """The port to the store of images."""

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their SHA-256 in hexadecimal."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there is no such blob, or no longer.
        """


class KeyedDigest(Protocol):
    """The port to digests that tell nothing to whoever lacks this installation's master key."""

    def __call__(self, *parts: bytes) -> str:
        """Return the digest of several byte strings in their order, as 64 hex digits."""


class Uploads(Protocol):
    """The port to what workers uploaded and did not submit yet."""

    def digest_of(self, image_id: UUID) -> str | None:
        """Return the SHA-256 of the blob that was uploaded as this image, if one was."""

    def keep(self, image_id: UUID, digest: str) -> bool:
        """Note an upload; false when another blob was uploaded as this image before."""


class WebhookKeys(Protocol):
    """The port to the keys that sign webhooks, and to what their addresses are known by."""

    def secret(self, account_id: UUID, number: int) -> str:
        """Return an account's secret (``whsec_…``) of this number, 1 for its first."""

    def public_key(self, account_id: UUID) -> str:
        """Return an account's public key (``whpk_…``)."""

    def destination(self, account_id: UUID, address: str) -> UUID:
        """Return the destination of an account's webhook: see
        :class:`domain.webhooks.webhook.WebhookTarget`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that :func:`api.app.create_app` builds on."""

    ledger: Ledger
    log: Log
    wakeups: Wakeups
    directory: AccountDirectory
    status: StatusReader
    backlog: BacklogReader
    workers: WorkersReader
    accounts: AccountsReader
    funds: Funds
    presence: Presence
    models: ModelsReader
    made: RecentStatistics
    deliveries: DueDeliveries
    webhooks: DeliveryHistoryReader
    webhook_keys: WebhookKeys
    require_webhook_address: Callable[[str], None]
    """Raises FetchFailed for an address that could be called in no case; looks nothing up."""
    modes: ModesReader
    catalogue: Models
    """What is known of models, whoever serves them."""
    loras: LoraVersions
    news: News
    blobs: Blobs
    uploads: Uploads
    signer: Signer
    keyed_digest: KeyedDigest
    fetcher: Fetcher
    """Fetches what lies at the addresses that strangers give."""
    content_filter: ContentFilter
    allowances: Allowances
    messages: WorkerMessages
    timeouts: Timeouts
    sealer: Sealer
    clock: Clock
    random_source: RandomSource
    address_digest: Callable[[str], str]
    """Turns a network address into what it is known again by, and cannot be read from."""
    new_key: Callable[[], str]
    """Makes an API key that nobody can guess."""
    digest_of: Callable[[str], str]
    """Turns an API key into the digest that the directory knows."""
    anonymous_key: str
    """The key with which anybody may ask for images."""
    unknown_models: UnknownModels = UnknownModels.ALLOW
    """What becomes of models that the catalogue lacks."""
    kudos_upfront: bool = True
    """Whether heavy requests need their kudos beforehand."""
    unsafe_networks: Container[str] = ()
    """Addresses from which not every worker takes requests."""
    workers_per_address: int = 0
    """Workers at one address beyond which untrusted accounts may add none; 0: any number."""
    registrations_per_hour: int = 5
    """Accounts that may be opened from one network address within an hour; 0: none."""
    public_url: str | None = None
    """What addresses of images start with, without a closing slash; None: what the client used."""
    image_address_lifetime: timedelta = timedelta(minutes=30)
    """For how long the address of an image counts."""
    max_body_bytes: int = 16 * 1024 * 1024
    """The largest request body, in bytes."""
    threads: int = 16
    """Requests that are worked on at a time; more wait their turn."""
    pace: Pace = field(default_factory=Pace)
    """How often those who wait for news of a request are looked after."""
    version: str = "0"
    """What the heartbeat tells."""
