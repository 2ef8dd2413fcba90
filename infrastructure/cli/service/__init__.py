"""``hoard up`` and ``hoard modes``."""
