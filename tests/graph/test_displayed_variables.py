"""Display forms at a turn: which one is stored for each variable, kept, copied and verified like other texts."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.displayed_variables import displays_at
from durable_rlm.graph.maintenance import collect_garbage, verify_run
from durable_rlm.nodes.runtime.turns import turns_of
from durable_rlm.state.open_home import open_stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

CELLS = [
    "rows = [{'n': n, 'word': 'w' * n} for n in range(5)]\ncount, kept, gone = 1, {'a': [1]}, 'x'",
    "count = 2\nkept['a'].append(2)\ndel gone",
    "for n in range(120):\n    globals()[f'z{n:03}' + 'z' * 40] = [n] * 50\ncount = 3",
    "count = 4\nFINAL(count)",
]


def value(text: str) -> dict[str, Any]:
    return {"kind": "value", "text": text}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the answered run `t`, and `set`: a fork of it after its first turn, with a variable set."""
    folder = tmp_path_factory.mktemp("displayed")
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])

    async def make() -> None:
        async with Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            await runner.run("What?", "the input", model=model, thread="t")
            steps = await runner.queries.steps("t")
            [first] = [step["step"] for step in steps if (step["kind"], step["turn"]) == ("execute_code", 1)]
            await runner.fork("t", first, into="set", set={"kept": {"b": [1]}, "mine": [{"x": 1}, {"x": 2}]})
            await runner.resume("set")

    asyncio.run(make())
    return folder / "home"


@pytest.fixture
async def runner(home: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        yield runner


async def state_of(runner: Runner, thread: str) -> tuple[Any, Any]:
    state: Any = (await runner.graph.aget_state({"configurable": {"thread_id": thread}})).values
    return turns_of(state), state.get("edits", [])


async def test_each_variable_has_the_form_of_its_value_after_the_turn(runner: Runner) -> None:
    turns, edits = await state_of(runner, "t")
    first, second = [await displays_at(runner.stores, turns, number, edits) for number in (1, 2)]
    assert list(first) == ["context", "count", "gone", "kept", "rows"] and first["context"] is None
    assert first["count"] == value("1") and second["count"] == value("2") and "gone" not in second
    assert first["kept"] and first["kept"]["items"][0][1]["length"] == 1
    assert second["kept"] and second["kept"]["items"][0][1]["length"] == 2, "it has changed inside"
    assert first["rows"] == second["rows"] and first["rows"] and first["rows"]["kind"] == "table"


async def test_no_form_is_shown_of_a_value_that_may_have_changed_since(runner: Runner) -> None:
    turns, edits = await state_of(runner, "t")
    crowded = await displays_at(runner.stores, turns, 3, edits)
    last = f"z119{'z' * 40}"
    assert crowded["count"] == value("3") and crowded[last] is None
    assert crowded["rows"] is None, "more variables have changed than could be named"
    # The last turn changes one variable, and keeps what is known of the others.
    after = await displays_at(runner.stores, turns, 4, edits)
    assert {**after, "count": None} == {**crowded, "count": None} and after["count"] == value("4")


async def test_variables_that_a_person_has_set_have_forms_of_their_json(runner: Runner) -> None:
    turns, edits = await state_of(runner, "set")
    first = await displays_at(runner.stores, turns, 1, edits)
    assert first["kept"] and first["kept"]["items"][0][0] == "b"
    assert first["mine"] and (first["mine"]["kind"], first["mine"]["rows"]) == ("table", [[1], [2]])
    # The next cell fails at `kept['a']`, after it has set `count`.
    second = await displays_at(runner.stores, turns, 2, edits)
    assert second["count"] == value("2") and second["mine"] == first["mine"]


async def test_a_run_of_an_earlier_version_has_variables_without_forms(runner: Runner) -> None:
    turns, _ = await state_of(runner, "t")
    older: Any = [{key: one for key, one in turn.items() if key != "displays"} for turn in turns]
    assert set((await displays_at(runner.stores, older, 2)).values()) == {None}


async def test_equal_forms_are_stored_once(runner: Runner) -> None:
    (turns, _), (forked, _) = await state_of(runner, "t"), await state_of(runner, "set")
    assert turns[0]["displays"] == forked[0]["displays"]


async def test_stored_forms_of_another_shape_are_not_shown(runner: Runner) -> None:
    turns, _ = await state_of(runner, "t")
    for text in ("[", json.dumps({"count": {"kind": "table"}}), json.dumps(["count"])):
        forged: Any = [{**turns[0], "displays": await runner.stores.texts.put(text)}]
        assert set((await displays_at(runner.stores, forged, 1)).values()) == {None}


async def test_forms_are_kept_by_garbage_collection_and_missing_ones_are_reported(home: Path, tmp_path: Path) -> None:
    await collect_garbage(home)
    async with open_stores(home) as stores:
        assert (await verify_run(stores, "t")).ok
    with closing(sqlite3.connect(home / "checkpoints.sqlite")) as source:
        (tmp_path / "hurt").mkdir()
        with closing(sqlite3.connect(tmp_path / "hurt" / "checkpoints.sqlite")) as copy:
            source.backup(copy)
            copy.execute('DELETE FROM texts WHERE CAST(body AS TEXT) LIKE \'%"kind":%"rows":%\'')
            copy.commit()
    async with open_stores(tmp_path / "hurt") as stores:
        report = await verify_run(stores, "t")
        lost = [what for problem in report.problems for what in problem.needed_by if "display" in what]
    assert "the display forms of the variables of turn 1" in lost
