"""Telling clients at once what happens to their requests: streams and long polling."""
