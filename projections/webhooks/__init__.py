"""Two views of webhook deliveries.

- :mod:`projections.webhooks.due`: the inline view ``deliveries``. What is to be sent where and
  when, the endpoints of accounts, and how destinations answer. It is exact, because it changes in
  the transaction of the events; those who schedule and send work from it.
- :mod:`projections.webhooks.history`: the view ``webhooks``, which follows the log. Every delivery
  that there ever was, for listings; and the attempts of one delivery, out of the log.
"""
