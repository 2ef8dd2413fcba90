"""``hoard webhooks``."""
