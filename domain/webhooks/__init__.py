"""Webhooks: where notifications are posted, under which secret, and what came of it."""
