"""Keys: the master key, keys of personal data, API keys, signed addresses."""
