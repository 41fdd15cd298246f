"""Trees of sub-RLMs in show, list, calls, delete, resume and completion."""

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from durable_rlm import Runner
from durable_rlm.graph.queries import children_of
from durable_rlm.state.db.checksums import register_function
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.lineage import child_thread
from durable_rlm.state.leases import this_process
from durable_rlm.state.open_home import open_stores
from durable_rlm.studio.cli.options import complete_threads
from durable_rlm.studio.terminal.escape import short_id
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, change, leaves, spoil_page
from tests.graph.sub_rlms.conftest import tree_script
from tests.studio.conftest import HOSTILE, Done, Rlm
from tests.studio.test_safe_text import hostile

NASTY = "".join(HOSTILE.values()).encode(errors="ignore").decode()
ASKED = [*(f"child: {n}" for n in range(23)), f"inner: {NASTY}", "failing: x"]
CELLS = {
    "top": [
        f"r = rlm_query_batched({ASKED!r})\nllm_query('plain')",
        "FINAL([str(one) if one else one.error for one in r])",
    ],
    "child:": ["FINAL(llm_query('short'))"],
    "inner:": ["FINAL(rlm_query_batched(['leaf: 1', 'leaf: 2']))"],
    "leaf:": ["FINAL('leaf')"],
    "failing:": ["raise ValueError('bad')"],
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the run `tree`: 25 sub-RLMs, of which one has two of its own and one failed; and the run `plain`."""
    folder = tmp_path_factory.mktemp("grown")
    model = tree_script(folder / "m.py", {**CELLS, "plain": ["FINAL(1)"]})

    async def fill() -> None:
        async with Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            run = await runner.run("top", thread="tree", model=model, max_depth=3, max_turns=2)
            assert run.status == "answered"
            await runner.run("plain", thread="plain", model=model)

    asyncio.run(fill())
    return folder / "home"


@pytest.fixture
def home(grown: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(grown, tmp_path / ".rlm"))


def document(done: Done) -> Any:
    return json.loads(done.out)


def runs(rlm: Rlm) -> dict[str, dict[str, Any]]:
    return {run["thread_id"]: run for run in document(rlm("list", "--json"))}


def child(rlm: Rlm, question: str) -> str:
    """Return the thread of the sub-RLM whose question begins so."""
    return next(name for name, run in runs(rlm).items() if run["question"].startswith(question))


# -- show


def test_a_run_is_shown_with_its_tree_and_the_spending_of_each_sub_rlm(rlm: Rlm, home: Path) -> None:
    shown = rlm("show", "tree").out
    assert hostile(shown) == []
    assert "── 27 sub-RLMs, the first 20 of a level (whole with --full)" in shown and "… and 5 more\n" in shown
    tree = rlm("show", "tree", "--full").out.partition("── 27 sub-RLMs\n")[2].partition("\n\n")[0].splitlines()
    assert tree[0].split() == ["THREAD", "STATUS", "TURNS", "CALLS", "COST", "ASKED"] and len(tree) == 1 + 27
    [inner] = [place for place, line in enumerate(tree) if "inner: " in line]
    assert re.match(r"[0-9a-f]{8} +answered +1 +3 +\$0\.00 +inner: ", tree[inner])
    assert re.match(r"├ [0-9a-f]{8} +answered +1 +1 +\$0\.00 +leaf: \d$", tree[inner + 1])
    assert re.match(r"└ [0-9a-f]{8} +answered +1 +1 +\$0\.00 +leaf: \d$", tree[inner + 2])
    [failed] = [line for line in tree if "failing: " in line]
    assert re.match(r"[0-9a-f]{8} +budget +2 +2 ", failed)


def test_the_tree_in_json_is_nested_and_names_the_call_of_each_sub_rlm(rlm: Rlm, home: Path) -> None:
    children = document(rlm("show", "tree", "--json"))["children"]
    keys = {"thread_id", "question", "status", "turns", "model_calls", "cost_usd", "call", "children"}
    assert len(children) == 25 and all(set(one) == keys for one in children)
    assert all(one["thread_id"] == child_thread("tree", one["call"]) for one in children)
    [inner] = [one for one in children if one["children"]]
    assert inner["model_calls"] == 3 and sorted(one["question"] for one in inner["children"]) == ["leaf: 1", "leaf: 2"]
    assert document(rlm("show", "plain", "--json"))["children"] == []


def test_a_sub_rlm_is_shown_with_the_call_that_started_it(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "child: 3")
    shown = rlm("show", name).out
    assert re.search(r"^Called by tree \(call 1:[0-9a-f]{40}:1 in turn 1\)$", shown, re.M)
    assert "Fork of" not in shown and "sub-RLMs" not in shown.partition("Question")[0]
    called = document(rlm("show", name, "--json"))["called_by"]
    assert (called["thread_id"], called["turn"]) == ("tree", 1) and child_thread("tree", called["call"]) == name
    assert document(rlm("show", "tree", "--json"))["called_by"] is None


def test_a_fork_of_a_sub_rlm_is_not_a_sub_rlm(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "child: 3")
    assert rlm("fork", name, "--step", "2", "--thread", "aside", "--no-run").code == 0
    shown = rlm("show", "aside").out
    assert f"Fork of   {name}" in shown and "Called by" not in shown
    assert "27 sub-RLMs" in rlm("show", "tree", "--full").out


def test_an_earlier_step_is_shown_without_the_present_tree(rlm: Rlm, home: Path) -> None:
    assert "sub-RLMs\n" not in rlm("show", "tree", "--step", "2").out
    assert document(rlm("show", "tree", "--step", "2", "--json"))["children"] is None


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The list of queries made from here on."""
    made: list[str] = []
    read = Database.read

    async def noted(self: Database, query: str, parameters: Any = ()) -> Any:
        made.append(query)
        return await read(self, query, parameters)

    monkeypatch.setattr(Database, "read", noted)
    yield made


async def test_the_number_of_queries_does_not_depend_on_the_size_of_the_tree(home: Path, queries: list[str]) -> None:
    counts: list[int] = []
    async with open_stores(home) as stores:
        [inner] = [one for one in await children_of(stores, "tree") if one["children"]]
        for name in ("tree", inner["thread_id"]):
            queries.clear()
            assert await children_of(stores, name)
            counts.append(len(queries))
    assert counts[0] == counts[1] <= 3


# -- list


def test_list_counts_sub_rlms_and_lists_them_on_request(rlm: Rlm, home: Path) -> None:
    lines = rlm("list").out.splitlines()
    assert lines[0].split() == ["THREAD", "STATUS", "TURNS", "CALLS", "SUB-RLMS", "COST", "UPDATED", "QUESTION"]
    assert [line.split()[0] for line in lines[1:]] == ["plain", "tree"]
    assert " +27 " in lines[2] and "+" not in lines[1]
    everything = rlm("list", "--all").out.splitlines()
    assert len(everything) == 1 + 29 and hostile("".join(everything)) == []
    [at] = [place for place, line in enumerate(everything) if "inner: " in line]
    assert everything[at][:2] in ("├ ", "└ ") and [line[:3] for line in everything[at + 1 : at + 3]] in (
        ["│ ├", "│ └"],
        ["  ├", "  └"],
    )


def test_json_lists_every_run_with_its_caller_as_the_parent(rlm: Rlm, home: Path) -> None:
    listed = runs(rlm)
    assert len(listed) == 29 and [run["parent"] for run in listed.values()].count("tree") == 25
    assert set(listed["tree"]) == {
        *("thread_id", "status", "question", "parent", "model", "turns", "model_calls", "cost_usd", "updated"),
        *("held_calls", "held_cost_usd"),
    }


def test_runs_in_a_cycle_of_parents_are_all_listed(rlm: Rlm, home: Path) -> None:
    names = [child(rlm, "child: 3"), child(rlm, "child: 4")]
    for name, other in zip(names, reversed(names), strict=True):
        change(home, "UPDATE children SET caller = ? WHERE thread_id = ?", other, name)
    listed = rlm("list").out
    assert all(short_id(name) in listed for name in names) and " +25 " in listed
    assert len(rlm("list", "--all").out.splitlines()) == 1 + 29
    assert all(rlm("show", name).code == rlm("calls", name, "--tree").code == 0 for name in names)


# -- calls


def test_a_call_that_a_sub_rlm_answers_has_the_tokens_of_its_tree(rlm: Rlm, home: Path) -> None:
    calls = {call["prompt"]: call for call in document(rlm("calls", "tree", "--json"))}
    inner = next(call for prompt, call in calls.items() if prompt.startswith("inner: "))
    shown = document(rlm("show", inner["child_thread"], "--json"))["usage"]
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        names = [inner["child_thread"], *(run for run, one in runs(rlm).items() if one["question"].startswith("leaf"))]
        marks = ", ".join("?" * len(names))
        sums = f"SELECT sum(input_tokens + output_tokens) FROM calls WHERE thread_id IN ({marks})"
        [tokens] = connection.execute(sums, names).fetchone()
    assert len(names) == 3 and inner["tokens"] == tokens == shown["input_tokens"] + shown["output_tokens"] > 0
    assert calls["plain"]["tokens"] > 0 and calls["plain"]["child_thread"] is None
    table = rlm("calls", "tree").out.splitlines()
    assert "SUB-RLM" in table[0] and sum(short_id(inner["child_thread"]) in line for line in table) == 1
    assert "SUB-RLM" not in rlm("calls", child(rlm, "child: 3")).out


def test_calls_of_a_sub_rlm_are_listed_after_the_call_that_started_it(rlm: Rlm, home: Path) -> None:
    calls = document(rlm("calls", "tree", "--tree", "--json"))
    assert len(calls) == 26 + 2 + 23
    [at] = [place for place, call in enumerate(calls) if call["prompt"].startswith("inner: ")]
    below = calls[at + 1 : at + 3]
    assert [(call["thread_id"], call["depth"]) for call in below] == [(calls[at]["child_thread"], 1)] * 2
    assert sorted(call["prompt"] for call in below) == ["leaf: 1", "leaf: 2"]
    assert [call["thread_id"] for call in calls if call["depth"] == 0] == ["tree"] * 26
    table = rlm("calls", "tree", "--tree").out.splitlines()
    assert (
        table[0].split()[:2] == ["THREAD", "DEPTH"] and len(table) == 1 + len(calls) and hostile("".join(table)) == []
    )


def test_a_call_of_an_unfinished_sub_rlm_is_not_reported_as_possibly_billed(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "child: 3")
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        connection.execute("UPDATE calls SET status = 'asked', answer = NULL WHERE child_thread = ?", (name,))
        connection.execute("UPDATE calls SET status = 'asked', answer = NULL WHERE thread_id = 'tree' AND kind = 'llm'")
        connection.commit()
    errors = {call["prompt"]: call["error"] for call in document(rlm("calls", "tree", "--json"))}
    assert errors["child: 3"] == "its sub-RLM has not ended" and "may have been billed" in errors["plain"]
    table = rlm("calls", "tree").out
    assert "  its sub-RLM has not ended" in table and "FAILED: under way when its process ended" in table


# -- delete, resume


def test_deleting_a_run_reports_the_number_of_deleted_sub_rlms(rlm: Rlm, home: Path) -> None:
    assert "Deleted tree and its 27 sub-RLMs." in rlm("delete", "tree").err
    assert list(runs(rlm)) == ["plain"]


def test_a_sub_rlm_can_be_deleted_alone_and_its_answer_stays_with_its_run(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "inner:")
    said = rlm("delete", name).err
    assert f"Deleted {name} and its 2 sub-RLMs." in said and "It was a sub-RLM of tree, which keeps the answer." in said
    assert len(runs(rlm)) == 29 - 3 and rlm("verify", "tree").code == 0
    assert rlm("resume", "tree").code == 0
    [call] = [call for call in document(rlm("calls", "tree", "--json")) if call["child_thread"] == name]
    assert json.loads(call["answer"]) == ["leaf", "leaf"]


def test_a_sub_rlm_of_a_running_run_is_busy_and_the_message_names_that_run(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "failing:")
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        owner = json.dumps(this_process())
        connection.execute("UPDATE leases SET owner = ?, renewed = 0 WHERE thread_id = 'tree'", (owner,))
        connection.execute("UPDATE threads SET status = 'stopped' WHERE thread_id = ?", (name,))
        connection.commit()
    done = rlm("resume", name)
    assert done.code == 5 and f"The sub-RLM {name} is a part of a run: tree is being run by process" in done.err
    assert document(rlm("resume", name, "--json"))["error"]["type"] == "RunBusy"


# -- damage


def test_an_unreadable_tree_hides_nothing_else_of_the_run(rlm: Rlm, home: Path) -> None:
    for page in leaves(home, "children_by_caller"):
        spoil_page(home, page)
    shown = rlm("show", "tree")
    assert shown.code == 0 and "── answer" in shown.out and "sub-RLMs\n" not in shown.out
    assert document(rlm("show", "tree", "--json"))["children"] is None
    assert len(document(rlm("calls", "tree", "--json"))) == 26


@pytest.mark.parametrize("name", ["children", "children_by_caller"])
def test_lost_parents_of_sub_rlms_leave_every_run_in_the_list(rlm: Rlm, home: Path, name: str) -> None:
    for page in leaves(home, name):
        spoil_page(home, page)
    assert len(runs(rlm)) == 29 and rlm("list").code == rlm("list", "--all").code == 0
    assert len(rlm("list", "--all").out.splitlines()) == 1 + 29
    assert rlm("show", "plain").code == rlm("calls", "plain").code == 0


# -- completion


def completed(home: Path, incomplete: str) -> list[str]:
    root = SimpleNamespace(params={"home": None})
    context = SimpleNamespace(params={"home": home}, find_root=lambda: root)
    return [name for name, _ in complete_threads(cast(typer.Context, context), incomplete)]


def test_the_shell_completes_sub_rlms_only_after_a_first_character(rlm: Rlm, home: Path) -> None:
    name = child(rlm, "child: 3")
    assert completed(home, "") == ["plain", "tree"]
    assert completed(home, name[:6]) == [name]


def test_the_shell_completes_threads_of_a_home_without_a_table_of_sub_rlms(home: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        connection.execute("DROP TABLE children")
    assert {"plain", "tree"} <= set(completed(home, "")) and completed(home, "tr") == ["tree"]
