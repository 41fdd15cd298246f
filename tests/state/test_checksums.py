"""Checksums: any change to a row is detected, also after later writes to it (promise P5)."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.checksums import checksum_mismatch_sql, register_function
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.tables import TABLES, Table
from durable_rlm.state.leases import Leases
from durable_rlm.state.reservations import Reservation
from durable_rlm.state.usage import Spending
from tests.damage import DATABASE, ask, behind, change

ENTRY = Entry("1:abc:1", "llm", 1, 0, "m", "p", Reservation(100, 50, 0.5))
VALUES: dict[str, dict[str, Any]] = {
    "checkpoints": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c", "parent_checkpoint_id": "b"},
    "writes": {
        "thread_id": "t",
        "checkpoint_ns": "",
        "checkpoint_id": "c",
        "task_id": "x",
        "idx": 0,
        "channel": "turns",
    },
    "calls": {
        **{"thread_id": "t", "key": "1:a:1", "kind": "llm", "turn": 1, "depth": 0, "model": "m", "prompt": "p"},
        **{"status": "answered", "answer": "a", "created": 1.5},
    },
    "steps": {
        **{"thread_id": "t", "step": 1, "checkpoint_id": "c", "kind": "plan", "turn": 1, "summary": "did"},
        "created": 1.5,
    },
    "threads": {
        **{"thread_id": "t", "question": "?", "input": "i", "start": "{}", "model": "m", "limits": "{}"},
        **{"status": "stopped", "created": 1.5, "updated": 1.5},
    },
    "children": {"thread_id": "t", "caller": "above", "call": "1:a:1", "depth": 1},
    "turns": {"thread_id": "t", "turn": 1, "summary": "Counts.", "flags": "error", "status": "error", "asked": 1.5},
    "executions": {"thread_id": "t", "number": 1, "reason": "started", "begun": 1.5},
}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncGenerator[Path]:
    """A home with a row in every table that has checksums, closed."""
    async with Database.open(tmp_path / DATABASE) as database:

        def fill(connection: sqlite3.Connection) -> None:
            for table, values in VALUES.items():
                names, marks = ", ".join(values), ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))

        await database.commit(fill)
    yield tmp_path


def damaged(home: Path) -> set[str]:
    """Return the tables that have a row with a wrong checksum."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        found = {
            table.name: connection.execute(f"SELECT max({checksum_mismatch_sql(table)}) FROM {table.name}").fetchone()
            for table in TABLES
        }
    return {table for table, [is_broken] in found.items() if is_broken}


def write(home: Path, sql: str) -> None:
    """Write as the product does: with the checksums kept up to date."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        connection.execute(sql)
        connection.commit()


async def test_rows_written_by_the_product_have_valid_checksums(home: Path) -> None:
    assert damaged(home) == set()
    write(home, "UPDATE threads SET status = 'answered', turns = 7")
    write(home, "UPDATE calls SET cost = 0.1 + 0.2, seal = seal")
    assert damaged(home) == set()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_the_specification_has_every_column_of_the_table(home: Path, table: Table) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
    assert found == {*table.columns(), "seal"} and len(set(table.columns())) == len(table.columns())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_a_copy_of_a_row_has_every_value_of_the_original(home: Path, table: Table) -> None:
    others = [column for column in table.columns() if column not in ("thread_id", "seq")]
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        connection.execute(table.copy({"thread_id": "'copy'"}, without=("seq",)) + " WHERE thread_id = 't'")
        rows = connection.execute(f"SELECT {', '.join(others)} FROM {table.name}").fetchall()
    assert len(rows) == 2 and len(set(rows)) == 1


def test_an_unknown_column_cannot_be_inserted() -> None:
    with pytest.raises(ValueError, match="table steps has no column size"):
        TABLES[3].insert("thread_id", "size")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_a_changed_column_is_detected_with_any_new_value(home: Path, table: Table) -> None:
    with behind(home) as connection:
        register_function(connection)
        for column in table.columns():
            # The one column that SQLite itself restricts to integers.
            values = ["12345"] if column == "seq" else ["12345", "x'ff00'", "CAST(x'c3' AS TEXT)", "'other'"]
            for value in values:
                connection.execute(f"UPDATE {table.name} SET {column} = {value}")
                found = connection.execute(f"SELECT {checksum_mismatch_sql(table)} FROM {table.name}").fetchall()
                connection.rollback()
                assert found == [(1,)], (column, value)


async def test_a_text_changed_to_a_blob_of_the_same_bytes_is_detected(home: Path) -> None:
    change(home, "UPDATE threads SET question = CAST(question AS BLOB)")
    assert damaged(home) == {"threads"}


async def test_a_number_changed_in_its_last_bit_is_detected(home: Path) -> None:
    change(home, "UPDATE steps SET created = 1.5000000000000002")
    assert damaged(home) == {"steps"}


async def test_a_damaged_row_stays_damaged_after_later_writes(home: Path) -> None:
    change(home, "UPDATE threads SET question = 'another'")
    write(home, "UPDATE threads SET status = 'answered'")
    write(home, "UPDATE threads SET question = '?'")
    assert damaged(home) == {"threads"}
    assert ask(home, "SELECT status FROM threads") == [("answered",)]


async def test_a_replaced_row_counts_as_a_new_one(home: Path) -> None:
    change(home, "UPDATE checkpoints SET metadata = 'x'")
    write(home, "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id) VALUES ('t', '', 'c')")
    assert damaged(home) == set()


async def test_a_damaged_answer_is_requested_again_and_then_reused(tmp_path: Path) -> None:
    async with Database.open(tmp_path / DATABASE) as database:
        journal = await Journal(database).of("t")
        await journal.open(ENTRY)
        await journal.settle(ENTRY, Outcome(answer="right"))
    change(tmp_path, "UPDATE calls SET answer = 'wrong', model = CAST(x'ff' AS TEXT)")
    async with Database.open(tmp_path / DATABASE) as database:
        journal = await Journal(database).of("t")
        assert journal.find(ENTRY.key) is None
        [row] = await Journal(database).rows("t")
        assert row.key == ENTRY.key and row.damage is not None
        await journal.open(ENTRY)
        await journal.settle(ENTRY, Outcome(answer="right again"))
        found = (await Journal(database).of("t")).find(ENTRY.key)
        assert found is not None and found.answer == "right again"
        # The damaged request counts all the same.
        assert (await Spending(database).by("t")).model_calls == 2


async def test_a_damaged_call_of_another_run_is_ignored(tmp_path: Path) -> None:
    async with Database.open(tmp_path / DATABASE) as database:
        for thread in ("hurt", "other"):
            journal = await Journal(database).of(thread)
            await journal.open(ENTRY)
            await journal.settle(ENTRY, Outcome(answer="right"))
    change(tmp_path, "UPDATE calls SET prompt = CAST(x'ff' AS TEXT) WHERE thread_id = 'hurt'")
    async with Database.open(tmp_path / DATABASE) as database:
        found = (await Journal(database).of("other")).find(ENTRY.key)
        assert found is not None and found.answer == "right"


async def test_the_checkpointer_writes_rows_with_valid_checksums(tmp_path: Path) -> None:
    from langgraph.checkpoint.base import empty_checkpoint

    async with Database.open(tmp_path / DATABASE) as database:
        saver = RunSaver(database, Leases(database))
        place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        saved = await saver.aput(place, empty_checkpoint(), {"source": "loop", "step": 0, "parents": {}}, {})
        await saver.aput_writes(saved, [("turns", [{"number": 1}])], "task")
    assert damaged(tmp_path) == set()
