"""Modes: the service as a whole goes into maintenance, takes invited workers only, and back."""

from __future__ import annotations

from uuid import UUID

from domain.ledger.core import Core
from domain.return_codes import Refused
from domain.service.modes import HORDE_ID, Horde, Modes


class ServiceModes:
    """What operators do with the service as a whole."""

    def __init__(self, core: Core) -> None:
        """Build on the core."""
        self._core = core

    def change(
        self,
        *,
        maintenance: bool | None = None,
        invite_only: bool | None = None,
        raid: bool | None = None,
        by: UUID | None = None,
    ) -> Modes:
        """Change the modes that are given, leave those that are None, and return all of them.

        :param by: the account that decides; None for the operator at the machine.
        :raises Refused: ``NoHordeModSelected`` when none is given; ``Locked``.
        """
        if maintenance is None and invite_only is None and raid is None:
            raise Refused("NoHordeModSelected")

        def change_given() -> Modes:
            now = self._core.now()
            horde = self._core.find(Horde, HORDE_ID)
            if horde is None:
                horde = Horde.found(timestamp=now)
            known = horde.modes
            horde.change_modes(
                Modes(
                    maintenance=known.maintenance if maintenance is None else maintenance,
                    invite_only=known.invite_only if invite_only is None else invite_only,
                    raid=known.raid if raid is None else raid,
                ),
                by=by,
                timestamp=now,
            )
            self._core.save(horde)
            return horde.modes

        return self._core.retried(change_given)
