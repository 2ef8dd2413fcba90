"""Workflows: ready-made ways of drawing that a worker knows by name."""

from __future__ import annotations

QR_CODE = "qr_code"
"""Draws a picture that is also a QR code of a text."""

WORKFLOWS = frozenset({QR_CODE})
"""Every workflow of the v2 API."""

QR_CODE_TEXT = "qr_code"
"""The reference of the text that the QR code encodes."""


def needs_single_jobs(workflow: str | None) -> bool:
    """Whether a workflow makes each image as a job of its own, for every requester."""
    return workflow == QR_CODE
