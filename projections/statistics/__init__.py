"""The view of what was made."""
