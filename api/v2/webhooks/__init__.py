"""Webhooks: the endpoints and secrets of accounts, and the deliveries to them."""
