"""Seals: a hash over a row's columns, kept in the row, so that a change that nobody made is noticed."""

import hashlib
import sqlite3
from typing import Any

from .tables import SEALED

_LENGTH = 16


def seal(*columns: Any) -> bytes:
    """16 bytes over values as SQLite holds them (None, int, float, str, bytes): their types, lengths and bytes."""
    digest = hashlib.sha256()
    for value in columns:
        if isinstance(value, bytes):
            kind, body = b"b", value
        elif isinstance(value, str):
            kind, body = b"s", value.encode("utf-8", "surrogatepass")
        else:
            kind, body = b"n", repr(value).encode()
        digest.update(kind + len(body).to_bytes(8))
        digest.update(body)
    return digest.digest()[:_LENGTH]


def teach(connection: sqlite3.Connection) -> None:
    """Let this connection's SQL say `rlm_seal(…)`: without it, sealed tables cannot be written."""
    connection.create_function("rlm_seal", -1, seal, deterministic=True)


def broken(table: str) -> str:
    """SQL that is true for a row of a sealed table whose seal does not match."""
    key, rest = SEALED[table]
    return f"seal IS NOT rlm_seal({', '.join((*key, *rest))})"
