"""Claiming, signing and posting webhook deliveries."""
