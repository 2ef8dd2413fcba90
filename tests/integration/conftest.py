"""Fixtures of the integration tests."""

from __future__ import annotations

from tests.view_world import world

__all__ = ["world"]
