"""Promise P11: only approved code runs. An approval applies once, to what was shown, on the branch that showed it."""

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
    """Return the path of a file that swapped code writes if it runs."""
    return tmp_path / "it-ran"


async def swap(runner: Runner, thread: str, mark: Path, as_node: str, **more: Any) -> None:
    """Replace the waiting code without the check of edits: the nodes do not rely on that check alone."""
    block = await runner.stores.texts.put(MARK.format(path=str(mark)))
    cell = {"turn": 1, "blocks": [block], "digest": cell_digest(1, [block])}
    await runner._graph.aupdate_state(config_of(thread), {"cell": cell, **more}, as_node=as_node)


def waiting_for(run: Run) -> dict[str, Any]:
    [found] = run.interrupts
    return {"interrupt": found["id"], "shown": found["value"]["shown"]}


async def test_code_that_was_swapped_after_it_was_shown_does_not_run(reviewed: Reviewed, mark: Path) -> None:
    shown = await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "plan")
    with pytest.raises(UsageError, match="does not wait for approval"):
        await reviewed.decide(APPROVE, **waiting_for(shown))
    now = await reviewed.resume()
    assert requests(now)[0]["args"]["code"] == MARK.format(path=str(mark))
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **waiting_for(shown))
    assert not mark.exists()


async def test_code_that_was_put_in_after_the_review_is_reviewed_again(reviewed: Reviewed, mark: Path) -> None:
    await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "review")
    run = await reviewed.resume()
    assert requests(run)[0]["args"]["code"] == MARK.format(path=str(mark))
    assert not mark.exists()


async def test_an_approval_of_one_cell_does_not_apply_to_the_next_one(reviewed: Reviewed, mark: Path) -> None:
    """The digest of the approved cell stays in the state, and another cell is put beside it."""
    await reviewed.start(["x = 1", "FINAL(x)"], "code")
    await reviewed.decide(APPROVE)
    async with reviewed.open() as runner:
        await swap(runner, reviewed.thread, mark, "review")
    run = await reviewed.resume()
    assert requests(run)[0]["args"]["code"] == MARK.format(path=str(mark))
    assert not mark.exists()


async def test_a_decision_without_an_interrupt_id_does_not_apply_to_a_request_that_was_not_shown(
    reviewed: Reviewed, mark: Path
) -> None:
    """LangGraph passes a resume without an id to the next interrupt; the review does not accept it."""
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
        # By now the request has been shown, so the same decision applies to it.
        await runner._graph.ainvoke(answer, config, durability="sync")
        assert mark.read_text() == "it ran"


async def test_a_decision_counts_once(reviewed: Reviewed) -> None:
    first = await reviewed.start(["x = 1", "FINAL(x)"], "code")
    second = await reviewed.decide(APPROVE, **waiting_for(first))
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **waiting_for(first))
    assert (await reviewed.resume()).interrupts == second.interrupts


async def test_a_decision_with_the_hash_of_another_request_is_refused(reviewed: Reviewed) -> None:
    run = await reviewed.start(["FINAL(1)"], "code")
    with pytest.raises(UsageError, match="not what waits now"):
        await reviewed.decide(APPROVE, interrupt=run.interrupts[0]["id"], shown="0" * 64)


async def test_an_approval_on_one_branch_does_not_apply_to_another(reviewed: Reviewed) -> None:
    """After a return to an earlier step, the same code waits again with another interrupt id."""
    shown = await reviewed.start(["x = 1", "FINAL(x)"], "code")
    await reviewed.decide(APPROVE, **waiting_for(shown))
    async with reviewed.open() as runner:
        config = {"configurable": {"thread_id": reviewed.thread}}
        history = [state async for state in runner.graph.aget_state_history(config)]
        planned = next(state for state in history if state.next == ("review",) and state.values["turn"] == 1)
        branch = await runner.graph.aupdate_state(planned.config, {"question": "What else?"}, as_node="plan")
        await runner.graph.ainvoke(None, branch)
        again = await runner.read(reviewed.thread)
    assert requests(again)[0]["args"] == requests(shown)[0]["args"]
    assert waiting_for(again)["interrupt"] != waiting_for(shown)["interrupt"]
    with pytest.raises(UsageError, match="does not wait"):
        await reviewed.decide(APPROVE, **waiting_for(shown))
    run = await reviewed.approve_all(again)
    assert (run.status, run.answer) == ("answered", 1)


async def test_a_fork_of_a_waiting_run_waits_for_its_own_decision(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(1)"], "code")
    async with reviewed.open() as runner:
        steps = await runner.queries.steps(reviewed.thread)
        await runner.fork(reviewed.thread, steps[-1]["step"], into="fork")
        assert (await runner.decide(reviewed.thread, [APPROVE])).answer == 1
        fork = await runner.resume("fork")
        assert (fork.status, requests(fork)[0]["thread_id"]) == ("paused", "fork")
        assert (await runner.decide("fork", [APPROVE])).answer == 1


async def test_the_hash_of_a_request_covers_everything_that_is_shown(reviewed: Reviewed) -> None:
    from durable_rlm.nodes.approval.requests import shown_digest

    run = await reviewed.start(["FINAL(1)"], "code")
    value = run.interrupts[0]["value"]
    of = shown_digest(value["action_requests"], value["review_configs"], value["thread_id"])
    assert of == value["shown"]
    for part in ("name", "args", "description", "thread_id", "turn"):
        changed = [{**value["action_requests"][0], part: "other"}]
        assert shown_digest(changed, value["review_configs"], value["thread_id"]) != of  # type: ignore[arg-type]


async def test_an_answer_that_was_put_in_after_the_review_is_reviewed_again(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL('asked about')"], "final")
    async with reviewed.open() as runner:
        other = {"text": await runner.stores.texts.put("not asked about"), "typed": False}
        await runner._graph.aupdate_state(config_of(reviewed.thread), {"final": other}, as_node="review")
    run = await reviewed.resume()
    assert (run.status, run.answer) == ("paused", None)
    assert requests(run)[0]["args"] == {"answer": "not asked about"}
    assert (await reviewed.decide(APPROVE)).answer == "not asked about"
