"""Messages to workers, in a table."""
