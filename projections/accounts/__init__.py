"""The view of accounts."""
