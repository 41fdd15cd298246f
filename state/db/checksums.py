"""Seals: a hash over a row's columns, kept in the row, so that a change that nobody made is noticed."""

import hashlib
import sqlite3
from typing import Any

from .schema import seal_of

_LENGTH = 16


def row_checksum(types: str, *columns: Any) -> bytes:
    """16 bytes over the types and values of columns as SQLite holds them, texts as their bytes."""
    digest = hashlib.sha256(types.encode())
    for value in columns:
        body = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(len(body).to_bytes(8))
        digest.update(body)
    return digest.digest()[:_LENGTH]


def register_function(connection: sqlite3.Connection) -> None:
    """Let this connection's SQL say `rlm_seal(…)`: without it, sealed tables cannot be written."""
    connection.create_function("rlm_seal", -1, row_checksum, deterministic=True)


def checksum_mismatch_sql(table: str) -> str:
    """SQL that is true for a row of a sealed table whose seal does not match."""
    return f"{table}.seal IS NOT {seal_of(table, f'{table}.')}"
