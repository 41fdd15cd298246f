"""Promise P11: what was approved is what runs. An approval is of what was shown, where it was shown, and once."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from durable_rlm import Run, Runner
from durable_rlm.graph.executor import config_of
from durable_rlm.state.call_keys import cell_digest
from durable_rlm.state.errors import UsageError
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, requests

MARK = "import pathlib; pathlib.Path({path!r}).write_text('it ran')"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that swapped code makes, should it ever run."""
    return tmp_path / "it-ran"


async def swap(runner: Runner, thread: str, mark: Path, as_node: str, **more: Any) -> None:
    """Put other code in the place of what waits, past the check of edits: the nodes do not rely on that alone."""
    block = await runner._stores.texts.put(MARK.format(path=str(mark)))
    cell = {"turn": 1, "blocks": [block], "digest": cell_digest(1, [block])}
    await runner._graph.aupdate_state(config_of(thread), {"cell": cell, **more}, as_node=as_node)


def place(run: Run) -> dict[str, Any]:
    [found] = run.interrupts
    return {"interrupt": found["id"], "shown": found["value"]["shown"]}


async def test_code_that_was_swapped_after_it_was_shown_does_not_run(reviewed: Reviewed, mark: Path) -> None:
    shown = await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "plan")
    with pytest.raises(UsageError, match="does not wait for approval"):
        await reviewed.decide(APPROVE, **place(shown))
    now = await reviewed.resume()
    assert requests(now)[0]["args"]["code"] == MARK.format(path=str(mark))
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **place(shown))
    assert not mark.exists()


async def test_code_that_was_put_behind_the_review_goes_back_to_it(reviewed: Reviewed, mark: Path) -> None:
    await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "review")
    run = await reviewed.resume()
    assert requests(run)[0]["args"]["code"] == MARK.format(path=str(mark))
    assert not mark.exists()


async def test_an_approval_of_one_cell_is_none_of_the_next_one(reviewed: Reviewed, mark: Path) -> None:
    """The digest of what was approved is left in the state, and another cell put beside it."""
    await reviewed.start(["x = 1", "FINAL(x)"], "code")
    await reviewed.decide(APPROVE)
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "review")
    run = await reviewed.resume()
    assert requests(run)[0]["args"]["code"] == MARK.format(path=str(mark))
    assert not mark.exists()


async def test_an_answer_without_a_name_is_not_taken_for_what_was_never_shown(reviewed: Reviewed, mark: Path) -> None:
    """LangGraph itself hands a plain resume to whatever interrupts next; the review does not take it."""
    await reviewed.start(["x = 1", "FINAL(1)"], "code")
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "plan")
        config = config_of(reviewed.thread)
        answer: Any = Command(resume={"decisions": [APPROVE]})
        await runner._graph.ainvoke(answer, config, durability="sync")
        [waiting] = (await runner._graph.aget_state(config)).interrupts
        assert waiting.value["problem"] == (
            "That answer was given before this was shown, so it was not taken. Look at it anew."
        )
        assert not mark.exists()
        # Shown by now, the same answer is one.
        await runner._graph.ainvoke(answer, config, durability="sync")
        assert mark.read_text() == "it ran"


async def test_a_decision_counts_once(reviewed: Reviewed) -> None:
    first = await reviewed.start(["x = 1", "FINAL(x)"], "code")
    second = await reviewed.decide(APPROVE, **place(first))
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **place(first))
    assert (await reviewed.resume()).interrupts == second.interrupts


async def test_the_hash_of_something_else_is_refused(reviewed: Reviewed) -> None:
    run = await reviewed.start(["FINAL(1)"], "code")
    with pytest.raises(UsageError, match="not what waits now"):
        await reviewed.decide(APPROVE, interrupt=run.interrupts[0]["id"], shown="0" * 64)


async def test_an_approval_on_one_branch_is_none_on_another(reviewed: Reviewed) -> None:
    """Back at an earlier step the same code waits again, under another name."""
    shown = await reviewed.start(["x = 1", "FINAL(x)"], "code")
    await reviewed.decide(APPROVE, **place(shown))
    async with reviewed.open() as runner:
        config = {"configurable": {"thread_id": reviewed.thread}}
        history = [state async for state in runner.graph.aget_state_history(config)]
        planned = next(state for state in history if state.next == ("review",) and state.values["turn"] == 1)
        branch = await runner.graph.aupdate_state(planned.config, {"question": "What else?"}, as_node="plan")
        await runner.graph.ainvoke(None, branch)
        again = await runner.read(reviewed.thread)
    assert requests(again)[0]["args"] == requests(shown)[0]["args"]
    assert place(again)["interrupt"] != place(shown)["interrupt"]
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **place(shown))
    run = await reviewed.approve_all(again)
    assert (run.status, run.answer) == ("answered", 1)


async def test_a_fork_of_what_waits_waits_by_itself(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        steps = await runner.queries.steps(reviewed.thread)
        await runner.fork(reviewed.thread, steps[-1]["step"], into="fork")
        assert (await runner.decide(reviewed.thread, [APPROVE])).answer == 1
        fork = await runner.resume("fork")
        assert (fork.status, requests(fork)[0]["thread_id"]) == ("paused", "fork")
        assert (await runner.decide("fork", [APPROVE])).answer == 1


async def test_what_is_shown_is_hashed_whole(reviewed: Reviewed) -> None:
    from durable_rlm.nodes.approval.requests import shown_digest

    run = await reviewed.start(["FINAL(1)"], "code")
    value = run.interrupts[0]["value"]
    of = shown_digest(value["action_requests"], value["review_configs"], value["thread_id"])
    assert of == value["shown"]
    for part in ("name", "args", "description", "thread_id", "turn"):
        changed = [{**value["action_requests"][0], part: "other"}]
        assert shown_digest(changed, value["review_configs"], value["thread_id"]) != of  # type: ignore[arg-type]


async def test_an_answer_that_was_put_behind_the_review_goes_back_to_it(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL('asked about')"], "final")
    async with reviewed.open() as runner:
        other = {"text": await runner._stores.texts.put("not asked about"), "typed": False}
        await runner._graph.aupdate_state(config_of(reviewed.thread), {"final": other}, as_node="review")
    run = await reviewed.resume()
    assert (run.status, run.answer) == ("paused", None)
    assert requests(run)[0]["args"] == {"answer": "not asked about"}
    assert (await reviewed.decide(APPROVE)).answer == "not asked about"
