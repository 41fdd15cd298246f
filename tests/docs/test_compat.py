"""Undocumented parts of other packages are used only in `compat` modules, and exist in the installed releases.

The parts of LangGraph's server are tested by `tests/e2e/server_safety`, which starts it.
"""

import re
import sqlite3
from pathlib import Path

import aiosqlite
from langgraph._internal import _constants as langgraph_names

from durable_rlm.nodes.runtime import langgraph_compat
from durable_rlm.state.db.aiosqlite_compat import run_in_thread

ROOT = Path(__file__).parents[2]


def two_plus(connection: sqlite3.Connection, number: int) -> int:
    return int(connection.execute("SELECT 2").fetchone()[0]) + number


async def test_aiosqlite_runs_functions_in_its_thread(tmp_path: Path) -> None:
    async with aiosqlite.connect(tmp_path / "db") as connection:
        assert await run_in_thread(connection, two_plus, 3) == 5


def test_langgraph_has_the_names_that_are_used() -> None:
    names = {value for name, value in vars(langgraph_names).items() if name.isupper() and isinstance(value, str)}
    used = {langgraph_compat.CHECKPOINTER_KEY, langgraph_compat.CHECKPOINT_MAP_KEY, langgraph_compat.INTERRUPT_CHANNEL}
    assert used <= names


def test_private_parts_are_named_only_in_compat_modules() -> None:
    private = re.compile(r"\._conn\b|__pregel_\w+\"|from langgraph_(api|runtime)|from langchain_openai")
    found = [
        str(path.relative_to(ROOT))
        for part in ("graph", "nodes", "state", "studio")
        for path in (ROOT / part).rglob("*.py")
        if private.search(path.read_text()) and not path.stem.endswith("_compat")
    ]
    assert found == []
