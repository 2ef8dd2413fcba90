"""``hoard accounts``."""
