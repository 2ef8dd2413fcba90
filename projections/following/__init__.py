"""Following the log: followers, their positions, wake-ups, and rebuilding."""
