"""The routes about workers and messages to them."""
