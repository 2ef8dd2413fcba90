"""The settings of an installation: ``HOARD_`` environment variables, all with working defaults.

Settings only describe. Nothing here opens, creates or deletes anything; a setting left out is
resolved by the property named in its description.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from domain.accounts.allowances import Allowances
from domain.jobs.leases import Lifetimes
from domain.models.catalogue import UnknownModels
from infrastructure.keys.master_key import parse_master_key
from infrastructure.outbound.egress_proxy import EgressBackend
from infrastructure.outbound.public_addresses import Network
from infrastructure.settings.validation import (
    absolute,
    networks_from,
    web_address,
    with_scheme,
)
from infrastructure.settings.worker import WorkerSettings

ENVIRONMENT_PREFIX = "HOARD_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

_ALLOWANCES = Allowances()
_LIFETIMES = Lifetimes()
"""Their defaults are those of the settings."""

_DATABASE_SCHEMES = frozenset({"sqlite", "postgres", "postgresql", "postgresql+psycopg"})
_BROKER_SCHEMES = frozenset({"redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps"})
_IN_MEMORY = frozenset({"sqlite://", "sqlite:///:memory:"})

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero byte included.
_LONGEST_SOCKET_PATH = 100


class SettingsInvalid(ValueError):
    """A setting has no usable value; the message names each such variable on a line of its own."""


class Settings(WorkerSettings):
    """Everything an operator may set; every process of one installation is given the same."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        validate_default=True,
        # A refused value may be a password or a key.
        hide_input_in_errors=True,
    )

    data: Path = Path("hoard-data")
    """Folder of all that the embedded default keeps; made absolute."""

    ledger_url: str | None = Field(default=None, repr=False)
    """Database of the events and their inline views; see :attr:`ledger_database`."""

    views_url: str | None = Field(default=None, repr=False)
    """Database of the views that follow the log; see :attr:`views_database`."""

    broker_url: str | None = Field(default=None, repr=False)
    """Celery's broker, Redis or RabbitMQ; see :attr:`broker`."""

    blobs: Path | None = None
    """Folder of the images; see :attr:`blob_folder`."""

    public_url: str | None = None
    """The address of this server for clients; see :attr:`base_url`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address that the API listens on."""

    port: int = Field(default=7001, ge=1, le=65535)
    """TCP port that the API listens on."""

    api_processes: int = Field(default=2, ge=1, le=64)
    """Processes that serve the API, 1 to 64: about one for each core that it may use."""

    lease_minimum_seconds: float = Field(
        default=_LIFETIMES.minimum_lease.total_seconds(), gt=0, allow_inf_nan=False
    )
    """Seconds that a worker has for a job at least; a slow job's lease is longer."""

    request_lifetime_seconds: float = Field(
        default=_LIFETIMES.request.total_seconds(), gt=0, allow_inf_nan=False
    )
    """Seconds after which an unfinished request expires."""

    concurrency: int = Field(default=_ALLOWANCES.concurrency, ge=0, le=500)
    """Images of one account that may wait at a time, 0 to 500; trusted ones have three times it.

    An account may have a limit of its own; anonymous has none.
    """

    trust_kudos: float = Field(default=_ALLOWANCES.trust_kudos, ge=0)
    """Kudos that an account's workers earn until it is trusted; ``inf``: never by itself."""

    trust_age_days: float = Field(
        default=_ALLOWANCES.trust_age.days, ge=0, le=3650, allow_inf_nan=False
    )
    """Days since an account was opened before work makes it trusted, up to ten years."""

    sweep_seconds: float = Field(default=5, gt=0, allow_inf_nan=False)
    """Seconds between two sweeps for ended leases, expired requests and lost wake-ups."""

    follow_seconds: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """Seconds that a follower of the log waits before it looks again."""

    registrations_per_hour: int = Field(default=5, ge=0, le=1000)
    """Accounts that may be opened from one network address within an hour; 0: by ``hoard accounts
    create`` alone."""

    max_body_bytes: int = Field(default=28 * 1024 * 1024, ge=64 * 1024)
    """Largest request body in bytes, at least 64 KiB.

    The largest legitimate one is a request with a source image and a mask in it, each of 10 MiB,
    and base64 makes four bytes of three.
    """

    permit_networks: str = ""
    """Networks of the operator's own that clients' addresses may lead into: ``10.1.0.0/16``, …

    Separated by spaces or commas; plain HTTP is permitted there too. Empty: the public internet
    alone, and HTTPS. See :attr:`permitted_networks`.
    """

    egress_proxy: SecretStr | None = None
    """HTTP proxy through which clients' addresses are called: ``http://user:password@host:port``.

    It is only ever asked for IP addresses that were checked here. Permitted networks are called
    without it.
    """

    webhook_http: bool = False
    """Whether webhooks may go to public addresses over plain HTTP."""

    webhook_seconds: float = Field(default=15, ge=1, le=60, allow_inf_nan=False)
    """Seconds that one attempt of a webhook may take in all, 1 to 60."""

    image_days: float = Field(default=30, ge=1)
    """Days after its last use until an image is deleted, 1 or more; ``inf``: never."""

    image_address_seconds: float = Field(default=1800, ge=60, allow_inf_nan=False)
    """Seconds for which the address of an image counts, at least 60."""

    unsafe_networks: str = ""
    """Networks of open proxies and the like, separated by spaces or commas: ``203.0.113.0/24``, …

    Workers may refuse requests from there. See :attr:`networks_called_unsafe`.
    """

    workers_per_address: int = Field(default=10, ge=0)
    """Workers at one network address beyond which untrusted accounts may add none; 0: any number.
    """

    worker_losses_per_hour: int = Field(default=20, ge=0)
    """Jobs that a remote worker may lose within an hour before it is put into maintenance; 0: any
    number."""

    unknown_models: UnknownModels = UnknownModels.ALLOW
    """What happens to models that the catalogue lacks: ``allow`` or ``refuse`` (AI Horde)."""

    kudos_upfront: bool = True
    """Whether heavy requests need their kudos beforehand (AI Horde's rule)."""

    civitai_url: str | None = None
    """Where versions of LoRAs are looked up, such as ``https://civitai.com/api/v1``.

    Left out, nothing is looked up: a LoRA reaches the worker as it was named.
    """

    civitai_token: SecretStr | None = None
    """API key with which workers fetch LoRAs that need one."""

    civitai_timeout_seconds: float = Field(default=5, gt=0, le=60, allow_inf_nan=False)
    """Seconds within which CivitAI has to answer, up to 60."""

    civitai_wait_seconds: float = Field(default=1, ge=0, le=2, allow_inf_nan=False)
    """Seconds that a request waits for a LoRA that was not looked up before, 0 to 2."""

    civitai_fresh_seconds: float = Field(default=3600, ge=60, allow_inf_nan=False)
    """Seconds for which a version counts as the latest, at least 60."""

    master_key: SecretStr | None = None
    """Key that wraps the keys of personal fields: 32 bytes as hex or base64.

    Left out, it is made on first use and kept in :attr:`master_key_file`.
    """

    log_level: LogLevel = "INFO"
    """Least severe messages that are logged."""

    log_json: bool | None = None
    """JSON lines or coloured text; left out, text on a terminal and JSON elsewhere."""

    @field_validator("data", "blobs")
    @classmethod
    def _make_absolute(cls, folder: Path | None) -> Path | None:
        return None if folder is None else absolute(folder)

    @field_validator("data")
    @classmethod
    def _fits_in_a_url(cls, folder: Path) -> Path:
        if unfit := sorted(set("?#%") & set(str(folder))):
            raise ValueError(f"the path may not contain {' '.join(unfit)}: it becomes part of URLs")
        return folder

    @field_validator("ledger_url", "views_url")
    @classmethod
    def _names_a_database(cls, url: str | None) -> str | None:
        return with_scheme(url, _DATABASE_SCHEMES)

    @field_validator("broker_url")
    @classmethod
    def _names_a_broker(cls, url: str | None) -> str | None:
        return with_scheme(url, _BROKER_SCHEMES)

    @field_validator("public_url", "civitai_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        return None if url is None else web_address(url)

    @field_validator("permit_networks", "unsafe_networks")
    @classmethod
    def _names_networks(cls, text: str) -> str:
        networks_from(text)
        return text

    @field_validator("egress_proxy")
    @classmethod
    def _names_a_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            EgressBackend(proxy.get_secret_value())
        return proxy

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @field_validator("master_key")
    @classmethod
    def _is_32_bytes(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            parse_master_key(key.get_secret_value())
        return key

    @model_validator(mode="after")
    def _views_outlive_no_ledger(self) -> Self:
        if self.ledger_database in _IN_MEMORY and self.views_database not in _IN_MEMORY:
            raise ValueError("a ledger in memory needs views in memory: leave views_url out")
        return self

    @model_validator(mode="after")
    def _images_outlive_requests(self) -> Self:
        # A source image is used whenever a worker gets a part of its request, or not for so long.
        if self.image_days * 86_400 < 4 * self.request_lifetime_seconds:
            raise ValueError("image_days must be four times request_lifetime_seconds at least")
        return self

    @property
    def ledger_database(self) -> str:
        """URL of the ledger: ``ledger_url``, else the SQLite file ``data/ledger.db``."""
        return self.ledger_url or f"sqlite:///{self.data / 'ledger.db'}"

    @property
    def views_database(self) -> str:
        """URL of the follower views: ``views_url``, else what suits the ledger.

        SQLite has one writer per file, so beside a ledger on SQLite the views are a file of their
        own, ``data/views.db``; PostgreSQL holds both. A ledger in memory has its views in memory.
        """
        if self.views_url is not None:
            return self.views_url
        ledger = self.ledger_database
        if ledger in _IN_MEMORY or not ledger.startswith("sqlite:"):
            return ledger
        return f"sqlite:///{self.data / 'views.db'}"

    @property
    def broker(self) -> str:
        """URL of Celery's broker: ``broker_url``, else the embedded Redis on its socket."""
        return self.broker_url or f"redis+socket://{self.redis_socket}"

    @property
    def has_embedded_redis(self) -> bool:
        """Whether the broker is a Redis that Hoard itself has to start."""
        return self.broker_url is None

    @property
    def redis_socket(self) -> Path:
        """Where the embedded Redis listens: ``data/redis.sock``.

        An operating system limits the length of such a path to about 100 bytes. Below a deeper
        data folder it is ``redis.sock`` in a folder of the shared temporary folder, named after
        this user and the data folder; the process that starts Redis makes that folder with
        :func:`infrastructure.keys.master_key.make_private_folder`.
        """
        socket = self.data / "redis.sock"
        if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
            return socket
        mark = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"hoard-{os.getuid()}-{mark}", "redis.sock")

    @property
    def blob_folder(self) -> Path:
        """Where images are kept: ``blobs``, else ``data/blobs``."""
        return self.blobs or self.data / "blobs"

    @property
    def lora_folder(self) -> Path:
        """Where fetched LoRAs are kept: ``worker_lora_folder``, else ComfyUI's own folder of them
        for its engine, else ``data/loras``."""
        if self.worker_lora_folder is not None:
            return self.worker_lora_folder
        if self.worker_engine == "comfyui" and self.worker_comfyui_folder is not None:
            return self.worker_comfyui_folder / "models" / "loras"
        return self.data / "loras"

    @property
    def permitted_networks(self) -> tuple[Network, ...]:
        """The networks that ``permit_networks`` names."""
        return networks_from(self.permit_networks)

    @property
    def egress(self) -> str | None:
        """The address of ``egress_proxy``, with its password: not to be logged."""
        return None if self.egress_proxy is None else self.egress_proxy.get_secret_value()

    @property
    def networks_called_unsafe(self) -> tuple[Network, ...]:
        """The networks that ``unsafe_networks`` names."""
        return networks_from(self.unsafe_networks)

    @property
    def master_key_file(self) -> Path:
        """Where a master key that was not given is kept: ``data/master.key``."""
        return self.data / "master.key"

    @property
    def base_url(self) -> str:
        """What links to this server start with, without a closing slash.

        ``public_url``, else the address that the API listens on; where that is every address of
        the machine, its loopback address.
        """
        if self.public_url is not None:
            return self.public_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def as_environment(self) -> dict[str, str]:
        """Return the variables from which a child process reads these very settings.

        A setting that is ``None`` is given as an empty variable, which means the same. The result
        holds passwords and, where it was given, the master key: hand it to a process, never log it.
        """
        return {
            f"{ENVIRONMENT_PREFIX}{name.upper()}": _as_text(getattr(self, name))
            for name in type(self).model_fields
        }


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; an override that is not ``None`` wins over it.

    :raises SettingsInvalid: when a variable or an override has no usable value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_complaints(error))) from None


def _complaints(error: ValidationError) -> list[str]:
    return [
        (
            f"{ENVIRONMENT_PREFIX}{str(detail['loc'][0]).upper()}: {message}"
            if detail["loc"]
            else message
        )
        for detail in error.errors(include_url=False, include_input=False)
        for message in [detail["msg"].removeprefix("Value error, ")]
    ]


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return json.dumps(value)
    return str(value)
