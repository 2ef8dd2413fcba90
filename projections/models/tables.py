"""The tables of the view of models."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text, Uuid

from projections.sql.encoding import Name

METADATA = MetaData()


ANY_MODEL = ""
"""Under this name stands what waits for a worker of whatever model."""


MODEL_RECORD = Table(
    "model_record",
    METADATA,
    Column("model", Name, primary_key=True),
    Column("waiting_requests", Integer, nullable=False),
    Column("waiting_images", Integer, nullable=False),
    Column("waiting_pixelsteps", BigInteger, nullable=False),
    Column("images", Integer, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
    Column("speed", Double),
    Column("seconds_per_image", Double),
)
"""One model. A request that allows several models waits for each of them."""


MODEL_REQUEST = Table(
    "model_request",
    METADATA,
    Column("request_id", Uuid, primary_key=True),
    Column("models", Text, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("pixelsteps", BigInteger, nullable=False),
)
"""Requests that are not over: the models that they allow (JSON) and their waiting images."""
