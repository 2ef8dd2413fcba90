"""The view of where each request stands."""
