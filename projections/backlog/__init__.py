"""The view of what waits, kept as counters."""
