"""The service as a whole: its modes, its news, what it refuses and what it fetches."""
