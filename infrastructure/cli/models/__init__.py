"""``hoard models``."""
