"""Shared keys: issued, changed and taken back by their owners."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.funds import Funds
from domain.accounts.shared_key import KeyLimits, SharedKey, shared_key_id_of
from domain.ledger.core import Core
from domain.ledger.ports import Directory
from domain.return_codes import Refused

MOST_SHARED_KEYS = 100
"""Shared keys that an account may have at a time; it can take old ones back."""


class SharedKeys:
    """What becomes of shared keys."""

    def __init__(self, core: Core, directory: Directory, funds: Funds) -> None:
        """Build on the core and these ports."""
        self._core = core
        self._directory = directory
        self._funds = funds

    def issue(self, owner_id: UUID, *, name: str, key_digest: str, limits: KeyLimits) -> UUID:
        """Let an account lend out a key; return the key's public id.

        :param key_digest: SHA-256 of the key, hexadecimal; the public id is made from it.
        :raises Refused: ``AnonForbidden``, ``Forbidden`` (too many) or ``Locked``.
        """
        if owner_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")

        def issue_one() -> UUID:
            with self._core.transaction():
                # Two at once would each count without the other.
                self._funds.lock(owner_id)
                if self._directory.count_of_shared_keys(owner_id) >= MOST_SHARED_KEYS:
                    raise Refused(
                        "Forbidden", f"At most {MOST_SHARED_KEYS} shared keys: delete one."
                    )
                key = SharedKey.issue(
                    shared_key_id_of(key_digest),
                    owner_id=owner_id,
                    name=name,
                    key_digest=key_digest,
                    limits=limits,
                    timestamp=self._core.now(),
                )
                self._core.save(key)
            return key.id

        return self._core.retried(issue_one)

    def change(self, shared_key_id: UUID, *, name: str, limits: KeyLimits) -> None:
        """Call a shared key something else, or let it go further, or less far.

        :raises Refused: ``SharedKeyInvalid`` or ``Locked``.
        """

        def change_both() -> None:
            key = self._key(shared_key_id)
            key.change(name, limits, timestamp=self._core.now())
            self._core.save(key)

        self._core.retried(change_both)

    def revoke(self, shared_key_id: UUID) -> None:
        """Revoke a shared key for good; requests under it are still served.

        :raises Refused: ``SharedKeyInvalid`` or ``Locked``.
        """

        def revoke_one() -> None:
            key = self._key(shared_key_id)
            key.revoke(timestamp=self._core.now())
            self._core.save(key)

        self._core.retried(revoke_one)

    def _key(self, shared_key_id: UUID) -> SharedKey:
        key = self._core.load(SharedKey, shared_key_id, "SharedKeyInvalid")
        if key.revoked:
            raise Refused("SharedKeyInvalid")
        return key
