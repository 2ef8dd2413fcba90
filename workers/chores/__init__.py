"""Chores: what time alone brings about."""
