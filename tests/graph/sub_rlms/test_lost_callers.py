"""Children whose caller was deleted, or whose row that names the caller is damaged."""

from pathlib import Path

from durable_rlm import Runner
from tests.damage import change
from tests.graph.sub_rlms.conftest import tree_script

CELLS = {"top": ["a = rlm_query('child: x')", "FINAL(a)"], "child:": ["FINAL(llm_query('plain'))"]}


async def test_a_child_that_a_fork_keeps_can_be_resumed_once_its_caller_is_deleted(
    runner: Runner, tmp_path: Path
) -> None:
    await runner.run("top", thread="t", model=tree_script(tmp_path / "m.py", CELLS), max_depth=2)
    plan = next(step["step"] for step in await runner.queries.steps("t") if step["kind"] == "plan")
    await runner.fork("t", plan, into="f")
    assert (await runner.resume("f")).answer == "PLAIN"
    [call] = await runner.queries.calls("f")
    child = call.row.child_thread
    assert child is not None
    await runner.delete("t")
    assert {run["thread_id"]: run["parent"] for run in await runner.queries.runs()} == {"f": None, child: None}
    assert (await runner.queries.about(child))["called_by"] is None
    assert (await runner.resume(child)).answer == "PLAIN"
    last = (await runner.queries.steps(child))[-2]["step"]
    await runner.fork(child, last, into="aside")
    assert (await runner.resume("aside", max_calls=50)).answer == "PLAIN"


async def test_a_cycle_of_callers_does_not_block_a_resume(runner: Runner, tmp_path: Path) -> None:
    await runner.run("top", thread="t", model=tree_script(tmp_path / "m.py", CELLS), max_depth=2)
    [call] = await runner.queries.calls("t")
    child = call.row.child_thread
    change(tmp_path / "home", "UPDATE children SET caller = thread_id WHERE thread_id = ?", child)
    assert child is not None and (await runner.resume(child)).answer == "PLAIN"
    assert (await runner.resume("t")).answer == "PLAIN"
