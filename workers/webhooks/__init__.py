"""Webhooks: notifications are planned, scheduled, claimed and sent.

In this order: :mod:`~workers.webhooks.planner` finds which notifications go where,
:mod:`~workers.webhooks.scheduler` schedules their deliveries, :mod:`~workers.webhooks.dispatcher`
claims what is due, :mod:`~workers.webhooks.sender` makes the attempt with the body from
:mod:`~workers.webhooks.payload`, and :mod:`~workers.webhooks.sweeper` abandons what is late.
"""
