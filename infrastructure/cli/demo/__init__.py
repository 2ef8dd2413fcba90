"""``hoard demo``."""
