"""Row checksums: a hash over a row's columns, kept in its column `seal`, so that a change on disk is noticed."""

import hashlib
import sqlite3
from typing import Any

from .schema import seal_of

_LENGTH = 16


def row_checksum(types: str, *columns: Any) -> bytes:
    """Return 16 bytes of hash over the types and values of columns as SQLite holds them, texts as their bytes."""
    digest = hashlib.sha256(types.encode())
    for value in columns:
        body = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(len(body).to_bytes(8))
        digest.update(body)
    return digest.digest()[:_LENGTH]


def register_function(connection: sqlite3.Connection) -> None:
    """Register `rlm_seal(…)` with this connection: without it, checksummed tables cannot be written."""
    connection.create_function("rlm_seal", -1, row_checksum, deterministic=True)


def checksum_mismatch_sql(table: str) -> str:
    """Return SQL that is true for a row of a checksummed table whose checksum does not match."""
    return f"{table}.seal IS NOT {seal_of(table, f'{table}.')}"
