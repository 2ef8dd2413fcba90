"""Modes: the service as a whole goes into maintenance, takes invited workers only, and back."""

from __future__ import annotations

from uuid import UUID

from eventsourcing.application import AggregateNotFoundError

from domain.ledger.base import LedgerBase
from domain.return_codes import Refused
from domain.service.modes import HORDE_ID, Horde, Modes


class ModesCommands(LedgerBase):
    """What operators do with the service as a whole."""

    def change_modes(
        self,
        *,
        maintenance: bool | None = None,
        invite_only: bool | None = None,
        raid: bool | None = None,
        by: UUID | None = None,
    ) -> Modes:
        """Change the modes that are given, leave those that are None, and return all of them.

        :param by: the account that decides, whose right to do so the caller has checked.
        :raises Refused: ``NoHordeModSelected`` when none is given; ``Locked``.
        """
        if maintenance is None and invite_only is None and raid is None:
            raise Refused("NoHordeModSelected")

        def change() -> Modes:
            horde = self._horde()
            known = horde.modes
            horde.change_modes(
                Modes(
                    maintenance=known.maintenance if maintenance is None else maintenance,
                    invite_only=known.invite_only if invite_only is None else invite_only,
                    raid=known.raid if raid is None else raid,
                ),
                by=by,
                timestamp=self._clock.now(),
            )
            self.save(horde)
            return horde.modes

        return self._retried(change)

    def _horde(self) -> Horde:
        try:
            horde: Horde = self.repository.get(HORDE_ID)
        except AggregateNotFoundError:
            return Horde.found(timestamp=self._clock.now())
        return horde
