"""The bodies of the v2 API, by what they are for."""
