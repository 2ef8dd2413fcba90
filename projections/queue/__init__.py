"""The inline view of what waits for a worker, and the order of service."""
