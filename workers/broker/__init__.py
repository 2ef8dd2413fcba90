"""Celery: the app, its wake-ups, and acknowledging when the broker fails."""
