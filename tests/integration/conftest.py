"""Fixtures of the integration tests."""

from __future__ import annotations

from tests.integration.api_client import api, followed_api
from tests.integration.storage.event_stores import postgres_store, recorder, shared_store, store
from tests.view_world import world

__all__ = ["api", "followed_api", "postgres_store", "recorder", "shared_store", "store", "world"]
