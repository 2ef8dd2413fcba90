"""``hoard worker``."""
