"""``hoard events``."""
