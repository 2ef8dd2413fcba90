"""The kinds of things that clients are told while a request is being made."""

from __future__ import annotations

from enum import StrEnum


class NotificationKind(StrEnum):
    """What is told."""

    QUEUED = "queued"
    """The request waits, at first or again since a job lost images; never told by webhook."""
    STARTED = "started"
    """A worker took a job of the request."""
    IMAGE = "image"
    """An image was made."""
    PROGRESS = "progress"
    """A job came further."""
    ENDED = "ended"
    """The request completed, faulted, expired or was cancelled."""
    TEST = "test"
    """Somebody wanted to see whether a webhook's address works; no filter applies to it."""


WEBHOOK_KINDS = (
    NotificationKind.STARTED,
    NotificationKind.IMAGE,
    NotificationKind.PROGRESS,
    NotificationKind.ENDED,
)
"""What a webhook may be asked to tell."""
