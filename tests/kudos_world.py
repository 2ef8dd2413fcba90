"""Short ways to let kudos move in a Hoard."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.kudos import kudos_from
from domain.accounts.roles import Roles
from domain.accounts.shared_key import KeyLimits, SharedKey
from domain.images.settings import ImageSettings
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.return_codes import Refused
from domain.workers.matching import Requirements
from infrastructure.bootstrap import Hoard

SETTINGS = ImageSettings(512, 512, 30, "k_euler_a", 5.0, True, 1)


def open_account(hoard: Hoard, name: str, kudos: float = 0.0, roles: Roles | None = None) -> UUID:
    """Open an account with kudos that the operator gives it."""
    digest = f"{len(hoard.inline.directory.accounts(after=-1, limit=1000)):064x}"
    account_id = hoard.ledger.accounts.open(name, digest, roles or Roles())
    if kudos:
        hoard.ledger.kudos.award(account_id, kudos, by=None, reason="a start")
    return account_id


def issue_key(hoard: Hoard, owner_id: UUID, limits: KeyLimits) -> UUID:
    """Lend out a key of an account."""
    key_id = UUID(int=owner_id.int ^ 1)
    key = SharedKey.issue(
        key_id,
        owner_id=owner_id,
        name="a friend",
        key_digest=key_id.hex * 2,
        limits=limits,
        timestamp=hoard.clock.now(),
    )
    hoard.ledger.save(key)
    return key_id


def request_of(
    account_id: UUID,
    images: int = 1,
    *,
    settings: ImageSettings = SETTINGS,
    models: tuple[str, ...] = (),
    shared_key_id: UUID | None = None,
    upfront: bool = False,
) -> SubmitRequest:
    """Return a request of an account."""
    return SubmitRequest(
        Requester(account_id, shared_key_id=shared_key_id),
        RequestSpecification(
            prompt="a cat",
            negative_prompt="",
            settings=settings,
            requirements=Requirements(models, settings.pixels, False, False, True, False),
            images=images,
        ),
        upfront=upfront,
    )


def available(hoard: Hoard, account_id: UUID) -> float:
    """Return the kudos that an account could spend now."""
    return kudos_from(hoard.inline.kudos.balance(account_id).available)


def refusal_of(command: object, *args: object, **kwargs: object) -> Refused | None:
    """Call a command and return how it was refused, None if it was not."""
    assert callable(command)
    try:
        command(*args, **kwargs)
    except Refused as refused:
        return refused
    return None
