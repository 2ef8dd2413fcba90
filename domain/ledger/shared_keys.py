"""Shared keys: issued, changed and taken back by their owners."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.shared_key import KeyLimits, SharedKey, shared_key_id_of
from domain.ledger.base import LedgerBase
from domain.return_codes import Refused

MOST_SHARED_KEYS = 100
"""Shared keys that an account may have at a time; it can take old ones back."""


class SharedKeyCommands(LedgerBase):
    """What becomes of shared keys. Whether somebody may do it is decided before."""

    def issue_shared_key(
        self, owner_id: UUID, *, name: str, key_digest: str, limits: KeyLimits
    ) -> UUID:
        """Let an account lend out a key; return the key's public id.

        :param key_digest: SHA-256 of the key, hexadecimal; the public id is made from it.
        :raises Refused: ``AnonForbidden``, ``Forbidden`` (too many) or ``Locked``.
        """
        if owner_id == ANONYMOUS_ID:
            raise Refused("AnonForbidden")

        def issue() -> UUID:
            if self._directory.count_of_shared_keys(owner_id) >= MOST_SHARED_KEYS:
                raise Refused("Forbidden", f"At most {MOST_SHARED_KEYS} shared keys: delete one.")
            key = SharedKey.issue(
                shared_key_id_of(key_digest),
                owner_id=owner_id,
                name=name,
                key_digest=key_digest,
                limits=limits,
                timestamp=self._clock.now(),
            )
            self.save(key)
            return key.id

        return self._retried(issue)

    def change_shared_key(self, shared_key_id: UUID, *, name: str, limits: KeyLimits) -> None:
        """Call a shared key something else, or let it go further, or less far.

        :raises Refused: ``SharedKeyInvalid`` or ``Locked``.
        """

        def change() -> None:
            key = self._lent_key(shared_key_id)
            key.change(name, limits, timestamp=self._clock.now())
            self.save(key)

        self._retried(change)

    def revoke_shared_key(self, shared_key_id: UUID) -> None:
        """Take a shared key back for good; what was asked for under it is still served.

        :raises Refused: ``SharedKeyInvalid`` or ``Locked``.
        """

        def revoke() -> None:
            key = self._lent_key(shared_key_id)
            key.revoke(timestamp=self._clock.now())
            self.save(key)

        self._retried(revoke)

    def _lent_key(self, shared_key_id: UUID) -> SharedKey:
        key = self._load(SharedKey, shared_key_id, "SharedKeyInvalid")
        if key.revoked:
            raise Refused("SharedKeyInvalid")
        return key
