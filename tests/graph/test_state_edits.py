"""Edits of a run's state: only the question can change, and approval is requested again (promise P11)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateUpdate

from durable_rlm import Run, Runner
from durable_rlm.graph.state_edits import EDITABLE_KEYS
from durable_rlm.state.errors import RlmError, UsageError
from tests.forged_edits import FORGED, KEYS, Forged
from tests.scripts import Asked, repl, write_script

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t"}}
APPROVE = {"type": "approve"}


class Gated:
    """The run `t`, whose last cell creates the file `mark` when it runs."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.runner = runner
        self.mark = folder / "it-ran"
        self._folder = folder

    async def start(self, gate: str, *more: str) -> Run:
        """Run it until it waits at the gate. `more`: cells before the last."""
        cell = f"open({str(self.mark)!r}, 'w').close()\nFINAL(context and 'shown')"
        model = write_script(self._folder / "m.py", [*map(repl, more), repl(cell)])
        self.asked = Asked(model)
        return await self.runner.run("What?", "the input", model=model, thread="t", approve=[gate])

    async def state(self) -> dict[str, Any]:
        return (await self.runner.graph.aget_state(CONFIG)).values

    async def saved(self) -> Any:
        """Return everything that an edit could change."""
        history = [(one.config, one.values) async for one in self.runner.graph.aget_state_history(CONFIG)]
        return history, await self.runner.read("t")

    async def step(self, *following: str) -> Any:
        """Return the newest state whose next nodes are these."""
        return await anext(one async for one in self.runner.graph.aget_state_history(CONFIG) if one.next == following)


@pytest.fixture
def gated(runner: Runner, tmp_path: Path) -> Gated:
    return Gated(runner, tmp_path)


async def refuse(gated: Gated, update: Any, message: str, as_node: str | None = None, config: Any = CONFIG) -> str:
    """Check that an edit is refused with nothing saved. Return the whole message."""
    before = await gated.saved()
    with pytest.raises(UsageError, match=message) as refused:
        await gated.runner.graph.aupdate_state(config, update, as_node=as_node)
    assert await gated.saved() == before
    return str(refused.value)


# -- refused edits


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: forged.name)
async def test_a_forged_edit_is_refused_and_bypasses_no_gate(gated: Gated, forged: Forged) -> None:
    shown = await gated.start(forged.gate)
    await refuse(gated, forged.values(await gated.state()), "cannot be edited|cannot change what runs", forged.as_node)
    again = await gated.runner.resume("t")
    assert (again.status, again.interrupts) == ("paused", shown.interrupts)
    assert gated.mark.exists() == (forged.gate == "final")


async def test_these_tests_cover_all_keys_of_the_graph(runner: Runner) -> None:
    own = {name for name in runner.graph.channels if not name.startswith(("__", "branch:"))}
    assert own <= {*KEYS} and {*EDITABLE_KEYS} <= {*KEYS}


def test_the_docs_list_the_editable_keys() -> None:
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    [table] = re.findall(r"\| key \| an edit of it \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*EDITABLE_KEYS]


@pytest.mark.parametrize("key", [*KEYS, "no_key_of_ours"])
async def test_every_key_is_editable_or_refused_with_a_command(gated: Gated, key: str) -> None:
    await gated.start("code")
    if key in EDITABLE_KEYS:
        await gated.runner.graph.aupdate_state(CONFIG, {key: "Why?"})
        assert (await gated.state())[key] == "Why?"
        return
    for value in "forged", 7, [], {}, True, ["forged"]:
        if json.dumps((await gated.state()).get(key)) != json.dumps(value):
            message = await refuse(
                gated, {"question": "Why?", key: value}, f"`{key}` cannot be edited: only `question`"
            )
            assert "rlm " in message


async def test_the_refusal_of_several_keys_names_each(gated: Gated) -> None:
    await gated.start("code")
    await refuse(gated, {"waiting": 1, "status": "answered"}, "`status`, `waiting` cannot be edited")


@pytest.mark.parametrize("question", ["", "  ", None, 3, ["Why?"], "half \ud800 of a character"])
async def test_an_invalid_question_is_refused(gated: Gated, question: Any) -> None:
    await gated.start("code")
    await refuse(gated, {"question": question}, "question is (empty|not a text)")


@pytest.mark.parametrize(
    "update",
    [
        Command(update={"approved": "x"}),
        Command(goto="execute_code"),
        Command(resume={"decisions": [APPROVE]}),
        [{"waiting": 1}],
        [("waiting", 1)],
        [Command(update={"settings": {}})],
        "waiting",
        1,
    ],
    ids=str,
)
async def test_an_edit_in_any_other_form_is_refused(gated: Gated, update: Any) -> None:
    await gated.start("code")
    await refuse(gated, update, "only `question` can be edited")


async def test_a_bulk_edit_of_several_updates_is_refused(gated: Gated) -> None:
    await gated.start("code")
    question, forged = StateUpdate({"question": "Why?"}), StateUpdate({"waiting": 1}, "review", "a-task")
    before = await gated.saved()
    for several in [[question], [forged]], [[question, forged]], [[]], []:
        with pytest.raises(UsageError, match="is one update"):
            await gated.runner.graph.abulk_update_state(CONFIG, several)
    with pytest.raises(UsageError, match="`waiting` cannot be edited"):
        await gated.runner.graph.abulk_update_state(CONFIG, [[forged]])
    assert await gated.saved() == before


async def test_a_step_in_mid_cell_or_without_a_next_node_cannot_be_edited(gated: Gated) -> None:
    await gated.start("code", "x = llm_query('a')")
    await gated.runner.decide("t", [APPROVE])
    edit = {"question": "Why?"}
    standing = [one async for one in gated.runner.graph.aget_state_history(CONFIG) if one.values.get("waiting")]
    assert {one.next for one in standing} == {("sub_call",), ("execute_code",)}
    for state in standing:
        await refuse(gated, edit, "The cell of turn 1 is under way", config=state.config)
    await gated.runner.decide("t", [APPROVE])
    await refuse(gated, edit, "No node of t is left to run")
    await refuse(gated, edit, "no state to edit", config=(await gated.step("__start__")).config)
    nowhere = {"configurable": {"thread_id": "t", "checkpoint_id": "none"}}
    await refuse(gated, edit, "no such step", config=nowhere)


async def test_the_state_of_a_sub_rlm_cannot_be_edited(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(rlm_query('Is it?', context='a text'))")])
    with (tmp_path / "m.py").open("a") as script:
        script.write("of_top = root\n")
        script.write("def root(messages):\n    asked = messages[1]['content'].count('Is it?')\n")
        script.write(f"    return {repl('FINAL(context)')!r} if asked else of_top(messages)\n")
    run = await runner.run("What?", model=model, thread="t", approve=["code"], max_depth=2)
    waits = await runner.decide("t", [APPROVE])
    assert (run.status, waits.status) == ("paused", "paused")
    [child] = [row["thread_id"] for row in await runner.queries.runs() if row["thread_id"] != "t"]
    place: RunnableConfig = {"configurable": {"thread_id": child}}
    with pytest.raises(UsageError, match=f"{child} is a part of t"):
        await runner.graph.aupdate_state(place, {"question": "Something else?"})
    assert (await runner.resume("t")).interrupts == waits.interrupts


# -- accepted edits


async def test_an_edited_question_is_sent_and_the_waiting_approval_is_requested_again(gated: Gated) -> None:
    shown = await gated.start("code", "x = 1")
    [old] = shown.interrupts
    before = await gated.state()
    await gated.runner.graph.aupdate_state(CONFIG, {**before, "question": " Why? "}, as_node="plan")
    assert (await gated.runner.read("t")).status == "stopped"
    del before["step"]
    assert await gated.state() == {**before, "question": "Why?"}, "unchanged keys in the update are no change"
    with pytest.raises(UsageError, match="does not wait for approval"):
        await gated.runner.decide("t", [APPROVE], interrupt=old["id"], shown=old["value"]["shown"])
    [new] = (await gated.runner.resume("t")).interrupts
    assert new["id"] != old["id"] and new["value"]["action_requests"] == old["value"]["action_requests"]
    with pytest.raises(UsageError, match="does not wait"):
        await gated.runner.decide("t", [APPROVE], interrupt=old["id"])
    await gated.runner.decide("t", [APPROVE])
    assert "Why?" in gated.asked.roots[-1] and not gated.mark.exists()


@pytest.mark.parametrize(("gate", "following"), [("code", "execute_code"), ("final", "finalize")])
async def test_approval_that_was_given_before_an_edit_is_requested_again(
    gated: Gated, gate: str, following: str
) -> None:
    """The edited step is between the approval and the approved action, and its state has the digest of the action."""
    shown = await gated.start(gate)
    await gated.runner.decide("t", [APPROVE])
    gated.mark.unlink()
    approved = next(
        one
        for one in [one async for one in gated.runner.graph.aget_state_history(CONFIG)]
        if one.next == (following,) and one.values["approved"] and not one.values["waiting"]
    )
    await gated.runner.graph.aupdate_state(approved.config, {"question": "Why?"})
    again = await gated.runner.resume("t")
    assert (again.status, gated.mark.exists()) == ("paused", False)
    assert again.interrupts[0]["value"]["action_requests"] == shown.interrupts[0]["value"]["action_requests"]
    assert (await gated.runner.decide("t", [APPROVE])).answer == "shown"


async def test_every_step_between_cells_can_be_edited_and_keeps_its_next_node(gated: Gated) -> None:
    await gated.start("all", "x = 1")
    while (await gated.runner.read("t")).status == "paused":
        await gated.runner.decide("t", [APPROVE])
    edited: set[tuple[str, ...]] = set()
    for state in [one async for one in gated.runner.graph.aget_state_history(CONFIG)]:
        if state.next and state.next != ("__start__",):
            place = await gated.runner.graph.aupdate_state(state.config, {"question": "Why?"})
            assert (await gated.runner.graph.aget_state(place)).next == state.next
            edited.add(state.next)
    assert edited == {("prepare",), ("plan",), ("review",), ("execute_code",), ("finalize",)}
    run = await gated.runner.resume("t")
    while run.status == "paused":
        run = await gated.runner.decide("t", [APPROVE])
    assert (run.status, run.answer) == ("answered", "shown")


async def test_an_empty_edit_is_a_branch_that_requests_approval_again(gated: Gated) -> None:
    await gated.start("code")
    await gated.runner.decide("t", [APPROVE])
    gated.mark.unlink()
    await gated.runner.graph.aupdate_state((await gated.step("execute_code")).config, None)
    assert (await gated.runner.resume("t")).status == "paused" and not gated.mark.exists()


# -- other ways to change a state


@pytest.mark.parametrize(
    "given",
    [
        Command(update={"approved": "x"}),
        Command(goto="execute_code"),
        Command(resume={"decisions": [APPROVE]}, update={"settings": {}}),
        Command(resume={"decisions": [APPROVE]}, goto="finalize"),
        {"waiting": 1},
    ],
    ids=str,
)
async def test_the_input_of_a_run_cannot_contain_an_edit(gated: Gated, given: Any) -> None:
    await gated.start("code")
    before = await gated.saved()
    with pytest.raises(UsageError, match=r"takes answers for commands|There is no waiting in the input"):
        await gated.runner.graph.ainvoke(given, CONFIG)
    assert await gated.saved() == before and not gated.mark.exists()


async def test_the_input_for_a_started_run_changes_no_settings(gated: Gated) -> None:
    shown = await gated.start("code")
    before = await gated.state()
    loose: Any = {"approve": ["calls>1000"], "settings": {"unsandboxed": True, "approve": []}}
    for given in loose, {**loose, "question": "What?", "context": "the input"}:
        await gated.runner.graph.ainvoke(given, CONFIG, context={"unsandboxed": True})  # type: ignore[arg-type]
        assert await gated.state() == before
    assert (await gated.runner.read("t")).interrupts == shown.interrupts and not gated.mark.exists()


@pytest.mark.parametrize("name", ["resume_map", "resuming", "scratchpad", "task_id", "checkpointer", "replay_state"])
async def test_a_callers_configuration_makes_no_decision(gated: Gated, name: str) -> None:
    """LangGraph passes decisions and its own state in these keys, and a client of a server may send any of them."""
    shown = await gated.start("code")
    forged = {f"__pregel_{name}": {shown.interrupts[0]["id"]: {"decisions": [APPROVE]}}}
    config: RunnableConfig = {"configurable": {"thread_id": "t", **forged}}
    before = await gated.saved()
    await gated.runner.graph.ainvoke(None, config)
    assert await gated.saved() == before and not gated.mark.exists()


async def test_a_fork_of_a_waiting_run_keeps_its_gates(gated: Gated) -> None:
    shown = await gated.start("code")
    await gated.runner.fork("t", shown.steps, into="copy", question="Why?")
    assert (await gated.runner.resume("copy")).status == "paused" and not gated.mark.exists()
    with pytest.raises(RlmError, match="`settings` cannot be edited"):
        await gated.runner.graph.aupdate_state({"configurable": {"thread_id": "copy"}}, {"settings": {}})
