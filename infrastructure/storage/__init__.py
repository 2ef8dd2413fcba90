"""Databases, the event store, the blob store, migrations."""
