"""Damage to checkpoints: only the steps that need a damaged row cannot be loaded, and their error says so."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.leases import Leases
from tests.damage import DATABASE, change, leaves, spoil_page

WHOLE_AT = 4
STEPS = 8


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A thread of eight checkpoints `c1` … `c8`; the growing list `turns` is saved whole in the fourth."""
    async with Database.open(tmp_path / DATABASE) as database:
        saver = RunSaver(database, Leases(database))
        parent: str | None = None
        for number in range(1, STEPS + 1):
            checkpoint = empty_checkpoint()
            checkpoint["id"] = f"c{number}"
            values = {"turns": _DeltaSnapshot(list(range(1, WHOLE_AT)))} if number == WHOLE_AT else {}
            checkpoint["channel_values"] = {**values, "filler": "x" * 2_000}
            metadata: Any = {"source": "loop", "step": number, "parents": {}}
            await saver.aput(place(parent), checkpoint, metadata, {})
            await saver.aput_writes(place(f"c{number}"), [("turns", [number]), ("other", 1)], "task")
            parent = f"c{number}"
    return tmp_path


def place(checkpoint: str | None) -> Any:
    return {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": checkpoint}}


async def loadable(home: Path) -> list[int]:
    """Return the steps that can be loaded with their lists."""
    found: list[int] = []
    async with Database.open(home / DATABASE) as database:
        saver = RunSaver(database, Leases(database))
        for number in range(1, STEPS + 1):
            try:
                loaded = await saver.aget_tuple(place(f"c{number}"))
                history = await saver.aget_delta_channel_history(config=place(f"c{number}"), channels=["turns"])
            except StoredDataDamaged:
                continue
            if loaded is not None:
                seed = history["turns"].get("seed")
                before = seed.value if isinstance(seed, _DeltaSnapshot) else []
                # A list that is saved whole includes everything written before it.
                written = [one for _, _, value in history["turns"]["writes"] for one in value]
                assert [*before, *written] == list(range(1, number)), number
                found.append(number)
    return found


async def test_all_steps_are_loaded_without_damage(home: Path) -> None:
    assert await loadable(home) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        ("UPDATE checkpoints SET metadata = '{}' WHERE checkpoint_id = 'c2'", [1, 5, 6, 7, 8]),
        ("UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE checkpoint_id = 'c6'", [1, 2, 3, 4, 5]),
        ("UPDATE checkpoints SET checkpoint = x'80' WHERE checkpoint_id = 'c4'", [1, 2, 3]),
        ("DELETE FROM checkpoints WHERE checkpoint_id = 'c6'", [1, 2, 3, 4, 5]),
        ("UPDATE writes SET value = x'90' WHERE channel = 'turns' AND checkpoint_id = 'c6'", [1, 2, 3, 4, 5]),
        ("UPDATE writes SET value = x'90' WHERE channel = 'other' AND checkpoint_id = 'c6'", [1, 2, 3, 4, 5, 7, 8]),
    ],
)
async def test_only_steps_that_need_a_damaged_row_cannot_be_loaded(home: Path, damage: str, kept: list[int]) -> None:
    change(home, damage)
    assert await loadable(home) == kept


async def test_a_damaged_page_hides_only_the_steps_in_it(home: Path) -> None:
    pages = leaves(home, "checkpoints")
    spoil_page(home, pages[-1])
    kept = await loadable(home)
    assert kept == list(range(1, len(kept) + 1)) and 4 <= len(kept) < STEPS


async def test_the_last_step_is_the_one_saved_last_whatever_its_identifier(tmp_path: Path) -> None:
    async with Database.open(tmp_path / DATABASE) as database:
        saver = RunSaver(database, Leases(database))
        for name in ("b", "c", "a"):
            checkpoint = empty_checkpoint()
            checkpoint["id"] = name
            await saver.aput(place(None), checkpoint, {"source": "loop", "step": 0, "parents": {}}, {})
        last = await saver.aget_tuple(place(None))
        assert last is not None and last.checkpoint["id"] == "a"


async def test_a_missing_last_step_is_reported_and_not_skipped(home: Path) -> None:
    change(home, "DELETE FROM checkpoints WHERE checkpoint_id = 'c8'")
    async with Database.open(home / DATABASE) as database:
        with pytest.raises(StoredDataDamaged, match="Step 8 of t is missing") as said:
            await RunSaver(database, Leases(database)).aget_tuple(place(None))
    assert "rlm fork t --step 7" in said.value.hint


async def test_a_damaged_entry_in_the_list_of_steps_does_not_hide_the_last_one(home: Path) -> None:
    change(home, "UPDATE steps SET checkpoint_id = 'c9' WHERE step = 8")
    async with Database.open(home / DATABASE) as database:
        last = await RunSaver(database, Leases(database)).aget_tuple(place(None))
    assert last is not None and last.checkpoint["id"] == "c8"
