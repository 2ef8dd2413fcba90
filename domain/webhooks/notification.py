"""Notifications: sent to clients while a request is made, in a stream or by webhook.

To add a kind, name it here, and in ``WEBHOOK_KINDS`` if webhooks can ask for it; which event causes
it and what its body says stands in :mod:`projections.tracking.notifications`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class NotificationKind(StrEnum):
    """What a notification says."""

    QUEUED = "queued"
    """The request waits, at first or again since a job lost images; never sent to a webhook."""
    STARTED = "started"
    """A worker took a job of the request."""
    IMAGE = "image"
    """An image was made."""
    PROGRESS = "progress"
    """A job came further."""
    ENDED = "ended"
    """The request completed, faulted, expired or was cancelled."""
    TEST = "test"
    """A test of a webhook's address; no filter applies to it."""


WEBHOOK_KINDS = (
    NotificationKind.STARTED,
    NotificationKind.IMAGE,
    NotificationKind.PROGRESS,
    NotificationKind.ENDED,
)
"""What a webhook can ask for, in the order in which it is listed everywhere."""

DEFAULT_KINDS = (NotificationKind.IMAGE, NotificationKind.ENDED)
"""What a webhook gets that asks for nothing in particular: each image, and the end."""


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


def sorted_kinds(kinds: Collection[NotificationKind]) -> tuple[NotificationKind, ...]:
    """Return each kind that a webhook can ask for once and in one order, so that the same filter
    always reads the same."""
    return tuple(kind for kind in WEBHOOK_KINDS if kind in kinds)
