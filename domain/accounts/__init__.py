"""Accounts: who may ask for images or run workers, and what they own."""
