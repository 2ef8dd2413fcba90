"""``hoard return-codes``."""
