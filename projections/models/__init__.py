"""The view of models."""
