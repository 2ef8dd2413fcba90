"""The master key, which wraps the keys of personal fields and is kept outside every database."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES = 32
"""Length of a master key: AES-256."""


class MasterKeyUnusable(Exception):
    """The file of the master key cannot be used; the message says why and what to do."""


class FolderNotPrivate(Exception):
    """A folder that must be private belongs to another user, or others may enter it."""


def parse_master_key(text: str) -> bytes:
    """Read 32 bytes written as 64 hex digits or as base64, URL-safe or not, padded or not.

    :raises ValueError: when the text is neither.
    """
    text = text.strip()
    try:
        if len(text) == 2 * MASTER_KEY_BYTES:
            key = bytes.fromhex(text)
        else:
            plain = text.rstrip("=").replace("-", "+").replace("_", "/")
            key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError("must be 32 bytes, as 64 hex digits or as base64")
    return key


def derived_key(master_key: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose (HKDF-SHA256, RFC 5869).

    Every process of an installation makes the same ones; they are of no use for anything else.
    """
    derived = HKDF(algorithm=SHA256(), length=MASTER_KEY_BYTES, salt=None, info=purpose)
    return derived.derive(master_key)


def read_or_make_master_key(path: Path) -> bytes:
    """Return the key kept in a file; make it, readable by its owner only, where there is none.

    Processes that start at once on one folder all get the same key, and a process killed on the
    way leaves either no key or a whole one. A key that is there is never overwritten: what it
    wraps would be lost.

    :raises MasterKeyUnusable: when the file holds no key or everybody may read it.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
        return _read(path)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only this user may enter, or check that the one there is such a folder.

    For a folder below the shared temporary folder: another user may have made it first.

    :raises FolderNotPrivate: when it is a link, belongs to another user, or others may enter it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise FolderNotPrivate(f"{folder} must be a folder that only this user may enter")


def _read(path: Path) -> bytes:
    with path.open(encoding="ascii", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(1024)
    # Only what is open to everybody is refused: container volumes often add the group.
    if mode & 0o007:
        raise MasterKeyUnusable(f"{path} may be read by everybody; run: chmod 600 {path}")
    try:
        return parse_master_key(text)
    except ValueError as error:
        raise MasterKeyUnusable(f"{path} {error}; restore it from a backup") from None


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(MASTER_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link never replaces the key of a process that was faster.
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
