"""Row checksums: a hash over a row's columns, kept in its column `seal`, so that a change on disk is noticed."""

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from .tables import Table

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


def checksum_sql(columns: Sequence[str], row: str = "") -> str:
    """Return SQL for the checksum over the types and values of columns.

    Texts enter as bytes: a damaged one may no longer be UTF-8. `row` qualifies the columns (`NEW.` in a trigger).
    """
    names = [f"{row}{column}" for column in columns]
    types = " || ".join(f"typeof({name})" for name in names)
    values = ", ".join(f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names)
    return f"rlm_seal({types}, {values})"


def checksum_mismatch_sql(table: Table) -> str:
    """Return SQL that is true for a row of a table whose checksum does not match."""
    return f"{table.name}.seal IS NOT {checksum_sql(table.columns(), f'{table.name}.')}"
