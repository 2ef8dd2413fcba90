"""The routes about models and statistics."""
