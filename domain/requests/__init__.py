"""Requests: what is asked for, what it costs, how it is sliced and how it ends."""
