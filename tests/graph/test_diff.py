"""Variables at a step and differences between two steps, from saved records: nothing runs and no value is loaded."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.diff import ComparedPart
from durable_rlm.state.blobs.snapshots import Snapshots
from durable_rlm.state.errors import UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.fixtures.homes import model as homes
from tests.scripts import repl, write_script

CELLS = [
    "big = ['x' * 100_000] * 20\ncount = 1\nold = 'there'\na = b = [1]\nprint('first')",
    "before = llm_query('one')\nlines = (n for n in range(len(big)))",
    "count += 1\ndel old\nb.append(2)\ndeep = [[[[[[0]]]]]]",
    "deep[0][0][0][0][0][0] = 1\nraise ValueError('broken')",
    "FINAL({'count': count})",
]


@pytest.fixture
async def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Runner]:
    """Yield a runner over the answered run `t` that fails if a value is loaded."""
    model = write_script(tmp_path / "m.py", [*(repl(cell) for cell in CELLS), repl("FINAL('other')")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", "the input", model=model, thread="t")
        assert run.answer == {"count": 2}

        async def fails(*_: Any) -> bytes:
            raise AssertionError("a value was loaded")

        monkeypatch.setattr(Snapshots, "chunk", fails)
        yield runner


async def after(runner: Runner, turn: int, kind: str = "execute_code", thread: str = "t") -> int:
    """Return the last step of a kind in a turn."""
    steps = await runner.queries.steps(thread)
    return max(step["step"] for step in steps if (step["kind"], step["turn"]) == (kind, turn))


async def test_variables_are_shown_for_each_step(runner: Runner) -> None:
    names = {
        number: set(await runner.queries.variables("t", runner.graph, number))
        for number in [1, 3, await after(runner, 1), await after(runner, 2), await after(runner, 3)]
    }
    first = {"a", "b", "big", "context", "count", "old"}
    assert list(names.values()) == [
        *(set[str](), set[str](), first, first | {"before", "lines"}),
        (first | {"before", "lines", "deep"}) - {"old"},
    ]
    now = await runner.queries.variables("t", runner.graph)
    assert now == await runner.queries.variables("t", runner.graph, (await runner.read("t")).steps)
    assert list(now) == sorted(now)


async def test_variables_in_mid_cell_are_those_before_the_cell(runner: Runner, tmp_path: Path) -> None:
    model = f"scripted:{tmp_path / 'm.py'}"
    await runner.run("What?", "the input", model=model, thread="reviewed", approve=["code:writes"])
    for thread, kinds in (("t", ("plan", "sub_call")), ("reviewed", ("plan", "review", "sub_call"))):
        before = await runner.queries.variables(thread, runner.graph, await after(runner, 1, thread=thread))
        for kind in kinds:
            step = await after(runner, 2, kind, thread)
            assert await runner.queries.variables(thread, runner.graph, step) == before


async def test_a_variable_that_cannot_be_restored_is_shown_with_the_reason(runner: Runner) -> None:
    shown = await runner.queries.variables("t", runner.graph)
    assert {set_of_keys for one in shown.values() if (set_of_keys := frozenset(one))} == {
        frozenset({"type", "size", "preview", "restorable", "why_not"})
    }
    assert not shown["lines"]["restorable"] and "generator" in shown["lines"]["why_not"]
    assert shown["count"] == {"type": "int", "size": None, "preview": "2", "restorable": True, "why_not": None}
    assert (shown["big"]["type"], shown["big"]["size"], shown["big"]["why_not"]) == ("list", 20, None)


async def test_variables_of_a_missing_snapshot_are_shown_as_not_restorable(runner: Runner, tmp_path: Path) -> None:
    step = await after(runner, 1)
    await runner.stores.database.commit(lambda connection: connection.execute("DELETE FROM manifests"))
    shown = await runner.queries.variables("t", runner.graph, step)
    assert shown["count"]["preview"] == "1" and not shown["count"]["restorable"]
    assert "missing" in shown["count"]["why_not"]


async def test_variables_of_a_run_of_an_earlier_version_are_shown_with_that_reason(tmp_path: Path) -> None:
    home = shutil.copytree(Path(homes.__file__).parent / "format-1", tmp_path / "old")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        shown = await runner.queries.variables("finished", runner.graph)
    assert shown and all("earlier version" in one["why_not"] for one in shown.values())


async def test_a_step_compared_with_itself_shows_no_difference(runner: Runner) -> None:
    for number in (1, 4, await after(runner, 3)):
        found = await runner.queries.compare(("t", number), ("t", number), runner.graph)
        assert found == {
            **{"from": {"thread_id": "t", "step": number}, "to": {"thread_id": "t", "step": number}},
            **{"question": None, "input": None, "status": None, "turns": [], "answer": None},
            "variables": {"added": {}, "removed": {}, "changed": {}},
            **{"first_difference": None, "edits": [], "calls": None, "cost": None},
        }


async def test_added_removed_and_changed_variables_are_listed_separately(runner: Runner) -> None:
    one, two, three, four = [await after(runner, turn) for turn in (1, 2, 3, 4)]
    found = await runner.queries.compare(("t", one), ("t", three), runner.graph)
    variables = found["variables"]
    assert set(variables["added"]) == {"before", "lines", "deep"} and set(variables["removed"]) == {"old"}
    assert set(variables["changed"]) == {"a", "b", "count"}, "unchanged variables are left out, big or not"
    count = variables["changed"]["count"]
    assert (count["from"]["preview"], count["to"]["preview"], count["shares_with"]) == ("1", "2", [])
    assert variables["changed"]["a"]["shares_with"] == ["b"]
    back = (await runner.queries.compare(("t", three), ("t", one), runner.graph))["variables"]
    assert set(back["added"]) == {"old"} and set(back["removed"]) == {"before", "lines", "deep"}
    deep = (await runner.queries.compare(("t", three), ("t", four), runner.graph))["variables"]["changed"]
    assert list(deep) == ["deep"], "its saved bytes differ, though its preview is the same"
    assert deep["deep"]["from"] == deep["deep"]["to"]
    assert not any((await runner.queries.compare(("t", two), ("t", two + 1), runner.graph))["variables"].values())


async def test_turns_that_differ_are_shown_with_their_code_and_output(runner: Runner) -> None:
    found = await runner.queries.compare(("t", await after(runner, 2)), ("t", await after(runner, 4)), runner.graph)
    assert [(turn["turn"], turn["change"], turn["status"]) for turn in found["turns"]] == [
        *((3, "added", {"from": None, "to": "ok"}), (4, "added", {"from": None, "to": "error"}))
    ]
    last = found["turns"][-1]
    assert last["code"]["to"].endswith("raise ValueError('broken')") and last["code"]["diff"] is None
    assert "ValueError" in last["output"]["to"] and last["error"]["to"] == "ValueError: broken"
    removed = await runner.queries.compare(("t", await after(runner, 4)), ("t", await after(runner, 2)), runner.graph)
    assert [turn["change"] for turn in removed["turns"]] == ["removed", "removed"]
    begun = await runner.queries.compare(
        ("t", await after(runner, 1, "plan")), ("t", await after(runner, 1)), runner.graph
    )
    [turn] = begun["turns"]
    assert (turn["change"], turn["code"], turn["output"]["to"]) == ("changed", None, "first\n")


async def test_a_fork_is_compared_with_the_run_it_comes_from(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    code = CELLS[0].replace("count = 1", "count = 10")
    await runner.fork("t", await after(runner, 1, "plan"), into="fork", code=code, question="Why?")
    await runner.resume("fork")
    ends = [("t", (await runner.read("t")).steps), ("fork", (await runner.read("fork")).steps)]
    found = await runner.queries.compare(ends[0], ends[1], runner.graph)
    assert found["question"] == {"from": "What?", "to": "Why?"} and found["input"] is None
    assert found["answer"] == {"from": {"count": 2}, "to": {"count": 11}}
    assert set(found["variables"]["changed"]) == {"count"}
    [turn] = found["turns"]
    assert (turn["turn"], turn["change"]) == (1, "changed") and turn["output"] is None
    assert "-count = 1\n+count = 10" in turn["code"]["diff"] and turn["code"]["diff"].startswith("@@")


async def test_runs_over_different_inputs_are_shown_with_both(runner: Runner, tmp_path: Path) -> None:
    other = await runner.run("What?", "another input", model=f"scripted:{tmp_path / 'm.py'}", thread="u")
    found = await runner.queries.compare(("t", 3), ("u", 3), runner.graph)
    assert found["input"] and found["input"]["from"] != found["input"]["to"]
    ended = await runner.queries.compare(("t", other.steps), ("u", other.steps), runner.graph)
    assert set(ended["variables"]["changed"]) == {"context"} and ended["turns"] == []


async def test_texts_too_long_for_a_line_diff_are_shown_whole(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("n = 1"), repl("print('x\\n' * n)"), repl("FINAL(1)")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("Q?", model=model, thread="t")
        await runner.fork("t", await after(runner, 1), into="u", set={"n": 6_000})
        await runner.resume("u")
        found = await runner.queries.compare(
            ("t", await after(runner, 2)), ("u", await after(runner, 2, thread="u")), runner.graph
        )
    [turn] = found["turns"]
    assert turn["output"]["diff"] is None and len(turn["output"]["to"]) > 12_000


async def test_unknown_steps_and_runs_are_refused(runner: Runner) -> None:
    with pytest.raises(UsageError, match="no step 999"):
        await runner.queries.variables("t", runner.graph, 999)
    with pytest.raises(UsageError, match="no step 0"):
        await runner.queries.compare(("t", 0), ("t", 1), runner.graph)
    with pytest.raises(UnknownThread):
        await runner.queries.compare(("t", 1), ("nobody", 1), runner.graph)


async def test_variables_that_were_set_are_compared_even_where_the_code_sets_them_again(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    await runner.fork("t", await after(runner, 2), into="set", set={"count": 5, "deep": [1]})
    await runner.resume("set")
    found = await runner.queries.compare(("t", None), ("set", None), runner.graph, part=ComparedPart())
    assert [(one["turn"], one["name"], one["from"], one["to"]["preview"]) for one in found["edits"]] == [
        *((2, "count", None, "5"), (2, "deep", None, "[1]"))
    ]
    assert set(found["variables"]["changed"]) == {"count"}, "the code has set the other one again"
    assert found["variables"]["changed"]["count"]["to"]["form"] == {"kind": "value", "text": "6"}
    assert (found["first_difference"], found["from"]["step"]) == (2, None)
    assert found["answer"] == {"from": {"count": 2}, "to": {"count": 6}}


async def test_calls_are_compared_by_their_prompts(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    plan = await after(runner, 2, "plan")
    code = "before = llm_query('one')\nmore = llm_query_batched(['two', 'three'])\nlines = 1"
    await runner.fork("t", plan, into="more", code=code)
    await runner.resume("more")
    found = await runner.queries.compare(("t", None), ("more", None), runner.graph)
    calls = found["calls"]
    assert (calls["same"], calls["first_turn"], found["first_difference"]) == (1, 2, 2)
    assert (calls["only_from"]["count"], calls["only_to"]["count"]) == (0, 2)
    assert [call["prompt"] for call in calls["only_to"]["calls"]] == ["two", "three"]
    back = await runner.queries.compare(("more", None), ("t", None), runner.graph)
    assert back["calls"]["only_from"]["calls"] == calls["only_to"]["calls"]
    assert found["cost"]["to"]["model_calls"] > 0 and found["cost"]["to"] != found["cost"]["from"]


async def test_an_answer_that_a_person_gave_is_one_that_was_answered_differently(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    [call] = await runner.queries.calls("t")
    middle = await after(runner, 2, "sub_call")
    await runner.fork("t", middle, into="given", answers={call.row.key: "given"})
    await runner.resume("given")
    calls = (await runner.queries.compare(("t", None), ("given", None), runner.graph))["calls"]
    [one] = calls["answered_differently"]["calls"]
    assert (one["prompt"], one["to"]["answer"], one["to"]["model"]) == ("one", "given", "person")
    assert (calls["only_from"]["count"], calls["only_to"]["count"], calls["same"]) == (0, 0, 0)


async def test_calls_after_the_step_are_not_compared(runner: Runner) -> None:
    first, second = await after(runner, 1), await after(runner, 2)
    assert (await runner.queries.compare(("t", first), ("t", first), runner.graph))["calls"] is None
    calls = (await runner.queries.compare(("t", first), ("t", second), runner.graph))["calls"]
    assert (calls["only_from"]["count"], [one["prompt"] for one in calls["only_to"]["calls"]]) == (0, ["one"])


async def test_a_part_of_a_comparison_has_some_turns_and_the_beginnings_of_their_texts(runner: Runner) -> None:
    ends = ("t", await after(runner, 1)), ("t", None)
    whole = await runner.queries.compare(*ends, runner.graph)
    assert [turn["turn"] for turn in whole["turns"]] == [2, 3, 4, 5] and "more_turns" not in whole
    part = await runner.queries.compare(*ends, runner.graph, part=ComparedPart(after=2, most=1, characters=7))
    [turn] = part["turns"]
    assert (turn["turn"], part["more_turns"], part["first_difference"]) == (3, 2, 2)
    assert turn["code"] == {"from": None, "to": f"count +\n… {len(CELLS[2]) - 7} more characters"}
