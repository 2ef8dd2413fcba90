"""A worker for another operator's Hoard or AI Horde, over its v2 HTTP API."""
