"""Webhooks: where accounts are told what becomes of their requests, and what was sent there."""
