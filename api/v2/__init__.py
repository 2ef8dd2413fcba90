"""The AI Horde v2 API: its routes, its fields and its limits."""
