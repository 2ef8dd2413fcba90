"""Webhooks: notifications are scheduled, claimed and sent.

In this order: :mod:`~workers.webhooks.scheduling` schedules a delivery for each webhook that wants
a notification, :mod:`~workers.webhooks.dispatcher` claims what is due,
:mod:`~workers.webhooks.sender` makes the attempt with the body from
:mod:`~workers.webhooks.payload`, and :mod:`~workers.webhooks.sweeper` abandons what is late.
"""
