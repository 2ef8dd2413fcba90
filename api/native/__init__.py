"""Routes that the AI Horde's API has no counterpart for."""
