"""The view of workers, and which of them are present."""
