"""The inline view ``deliveries``: deliveries that are due, and the state of destinations."""
