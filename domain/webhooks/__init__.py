"""Webhooks: where notifications are posted, when, under which secret, and the outcome.

- :mod:`~domain.webhooks.notification`: which notifications there are.
- :mod:`~domain.webhooks.webhook` and :mod:`~domain.webhooks.endpoint`: to which addresses.
- :mod:`~domain.webhooks.delivery`: one notification on its way to one of them.
- :mod:`~domain.webhooks.attempts`, :mod:`~domain.webhooks.backoff`: what comes of an attempt, how
  long it is until the next, and when a delivery is abandoned.
- :mod:`~domain.webhooks.circuit`: when a destination that keeps failing gets only probes.
- :mod:`~domain.webhooks.secret`: what signs for an account.
"""
