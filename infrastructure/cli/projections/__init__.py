"""``hoard projections``."""
