"""Damage to a saved home, made behind the product's back as by disks and other programs."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

DATABASE = "checkpoints.sqlite"


@contextmanager
def behind(home: Path) -> Generator[sqlite3.Connection]:
    """Open a connection whose changes update no checksum. No other process may have the file open."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.commit()
        yield connection
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()


def change(home: Path, sql: str, *parameters: Any) -> None:
    """Change exactly one row."""
    with behind(home) as connection:
        assert connection.execute(sql, parameters).rowcount == 1


def ask(home: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(sql, parameters).fetchall()


def flip(path: Path, needle: bytes) -> None:
    """Flip a bit of the last byte of the only occurrence of `needle` in a file."""
    data = bytearray(path.read_bytes())
    assert data.count(needle) == 1, data.count(needle)
    data[data.index(needle) + len(needle) - 1] ^= 0x80
    path.write_bytes(data)


def leaves(home: Path, name: str) -> list[int]:
    """Return the pages that hold the rows of a table or an index, in order (sqlite.org/fileformat2.html, 1.6)."""
    [[size]] = ask(home, "PRAGMA page_size")
    [[root]] = ask(home, "SELECT rootpage FROM sqlite_schema WHERE name = ?", name)
    data = (home / DATABASE).read_bytes()

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length])

    def below(page: int) -> list[int]:
        start = (page - 1) * size
        if data[start] not in (2, 5):
            return [page]
        cells = [start + number(start + 12 + 2 * cell, 2) for cell in range(number(start + 3, 2))]
        children = [*(number(cell, 4) for cell in cells), number(start + 8, 4)]
        return [leaf for child in children for leaf in below(child)]

    return below(root)


def spoil_page(home: Path, page: int) -> None:
    """Make a page of the database unreadable."""
    [[size]] = ask(home, "PRAGMA page_size")
    path = home / DATABASE
    data = bytearray(path.read_bytes())
    data[(page - 1) * size] = 0xFF
    path.write_bytes(data)
