"""Webhooks: what happens is scheduled to be told, claimed, and sent until it arrives."""
