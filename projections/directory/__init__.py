"""The inline view of who is who."""
