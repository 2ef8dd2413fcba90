"""Tracking: clients learn at once what happens to their requests, by streams and long polling."""
