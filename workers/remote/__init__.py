"""A worker for somebody else's Hoard or AI Horde, over its v2 HTTP API."""
