"""The view ``webhooks``: all deliveries that there ever were, and the attempts of each."""
