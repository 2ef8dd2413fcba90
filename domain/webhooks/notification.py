"""A notification as deliveries see it: some kind of news about a request, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

NotificationKind = NewType("NotificationKind", str)
"""The name of what a notification says, as filters and events hold it.

Deliveries depend on no kind but the test: which others there are, what causes them and what they
say stands in :mod:`projections.tracking.notifications`.
"""

TEST = NotificationKind("test")
"""A test of a webhook's address; no filter applies to it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing that happened to a request, as clients are notified of it."""

    kind: NotificationKind
    request_id: UUID
    about: UUID
    """The image for an image, the job for a start or progress, the request for all else."""
    happened_at: datetime
    step: int | None = None
    """For progress, how far the job was; None for all else."""
