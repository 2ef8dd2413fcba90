"""Uploaded images that workers have not submitted yet."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Column, MetaData, String, Table, Uuid, bindparam, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.jobs.image_ids import job_of
from infrastructure.storage.database import Database
from projections.queue.tables import LEASE

UPLOADED_IMAGE = Table(
    "uploaded_image",
    MetaData(),
    Column("image_id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("digest", String(64), nullable=False),
)
"""Which blob a worker uploaded as which image. It is no view: an upload is not yet history."""

_DIGEST = select(UPLOADED_IMAGE.c.digest).where(UPLOADED_IMAGE.c.image_id == bindparam("image"))
_OVER = delete(UPLOADED_IMAGE).where(~exists().where(LEASE.c.job_id == UPLOADED_IMAGE.c.job_id))


class Uploads:
    """Stores the first upload of each image while its job runs."""

    def __init__(self, database: Database) -> None:
        """Keep them in the database that holds the events, beside the leases."""
        self._database = database
        dialect: Any = sqlite if database.is_sqlite else postgresql
        self._insert = dialect.insert(UPLOADED_IMAGE).on_conflict_do_nothing()

    def digest_of(self, image_id: UUID) -> str | None:
        """Return the SHA-256 of the blob that was uploaded as this image, if one was."""
        with self._database.reading() as connection:
            digest: str | None = connection.execute(_DIGEST, {"image": image_id}).scalar()
        return digest

    def keep(self, image_id: UUID, digest: str) -> bool:
        """Note an upload; false when another blob was uploaded as this image before.

        :param digest: SHA-256 of a blob that is in the store, hexadecimal.
        """
        row = {"image_id": image_id, "job_id": job_of(image_id), "digest": digest}
        with self._database.transaction() as connection:
            connection.execute(self._insert, row)
            kept = connection.execute(_DIGEST, {"image": image_id}).scalar()
        return kept == digest

    def delete_expired(self) -> int:
        """Delete the uploads of jobs that have ended; return how many there were.

        Their images are in the history by now, or no longer wanted.
        """
        with self._database.transaction() as connection:
            return connection.execute(_OVER).rowcount
