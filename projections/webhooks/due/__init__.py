"""The inline view ``deliveries``: what is due at webhooks, and how destinations answer."""
