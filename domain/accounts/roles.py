"""Roles: what an account may do beyond asking for images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of an account; they are given by moderators and admins, trust also by good work."""

    trusted: bool = False
    """May run 20 workers, serve requests for trusted workers, and disable batching."""
    patron: bool = False
    """Supports the installation: may disable batching."""
    moderator: bool = False
    """Keeps order: pauses workers, flags accounts, gives trust."""
    admin: bool = False
    """Runs the installation: may do all that moderators may, and make them."""
    service: bool = False
    """Asks on behalf of others, whom it names."""
    customizer: bool = False
    """May offer models that the catalogue lacks."""
    special: bool = False
    """May send the v2 field ``special``."""
    education: bool = False
    """Belongs to a school: keeps its kudos to itself."""
    vpn: bool = False
    """May run workers behind networks that are called unsafe."""
    flagged: bool = False
    """Is suspected of misuse: its kudos stay where they are."""

    @property
    def may_disable_batching(self) -> bool:
        """Whether it may have every image made as a job of its own."""
        return self.trusted or self.patron

    @property
    def may_moderate(self) -> bool:
        """Whether it may do what moderators may."""
        return self.moderator or self.admin
