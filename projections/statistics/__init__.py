"""The view ``statistics``: images made, by hour and model."""
