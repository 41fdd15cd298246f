"""An approval is of one run, as it was when it was given: forks, branches and other models ask again (promise P11)."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from durable_rlm.graph.executor import config_of
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, names, requests
from tests.scripts import write_script

CELL = "import pathlib; p = pathlib.Path({path!r}); p.write_text(p.read_text() + '!' if p.exists() else '!')"


class Marked:
    """A run whose cell leaves a mark each time that it runs."""

    def __init__(self, reviewed: Reviewed) -> None:
        self.reviewed = reviewed
        self._mark = reviewed.folder / "ran"
        self.cell = CELL.format(path=str(self._mark))

    @property
    def times(self) -> int:
        return len(self._mark.read_text()) if self._mark.exists() else 0

    async def approved(self, *gates: str, cell: str = "", **settings: Any) -> int:
        """Start the run, approve what it asks first, and stop it before that is done. Returns the step's number."""
        await self.reviewed.start([cell or self.cell, "FINAL(1)"], *gates, **settings)
        async with self.reviewed.open() as runner:
            answer: Any = Command(resume={"decisions": [APPROVE]})
            await runner.graph.ainvoke(answer, config_of(self.reviewed.thread), interrupt_after=["review"])
            return (await runner.queries.steps(self.reviewed.thread))[-1]["step"]

    async def fork(self, step: int, **changes: Any) -> Reviewed:
        async with self.reviewed.open() as runner:
            await runner.fork(self.reviewed.thread, step, into="fork", **changes)
        fork = Reviewed(self.reviewed.folder)
        fork.thread = "fork"
        return fork


@pytest.fixture
def marked(reviewed: Reviewed) -> Marked:
    return Marked(reviewed)


@pytest.mark.parametrize("changes", [{}, {"set": {"x": 1}}, {"question": "Why?"}, {"max_turns": 9}])
async def test_a_fork_asks_again_about_code_that_was_approved_and_has_not_run(
    marked: Marked, changes: dict[str, Any]
) -> None:
    fork = await marked.fork(await marked.approved("code"), **changes)
    run = await fork.resume()
    assert (names(run), requests(run)[0]["thread_id"], marked.times) == (["execute_code"], "fork", 0)
    await fork.decide(APPROVE)
    assert marked.times == 1
    await marked.reviewed.resume()
    assert marked.times == 2, "in the run that it was approved for, it runs"


@pytest.mark.parametrize("changes", [{}, {"set": {"x": 1}}])
async def test_a_fork_in_mid_cell_asks_again_before_the_cell_begins_anew(
    marked: Marked, changes: dict[str, Any]
) -> None:
    await marked.reviewed.start([f"{marked.cell}\ny = llm_query('q')", "FINAL(y)"], "code", "calls")
    await marked.reviewed.decide(APPROVE)
    assert marked.times == 1
    async with marked.reviewed.open() as runner:
        step = (await runner.queries.steps(marked.reviewed.thread))[-1]["step"]
    fork = await marked.fork(step, **changes)
    run = await fork.resume()
    assert (names(run), marked.times) == (["execute_code"], 1)
    run = await fork.decide(APPROVE)
    assert (names(run), marked.times) == (["sub_calls"], 2)
    assert (await fork.approve_all(run)).answer == "Q"


async def test_a_fork_asks_again_about_an_accepted_answer(marked: Marked) -> None:
    fork = await marked.fork(await marked.approved("final", cell="FINAL('this')"))
    run = await fork.resume()
    assert (run.status, names(run)) == ("paused", ["final_answer"])
    assert (await fork.decide(APPROVE)).answer == "this"


async def test_an_earlier_step_that_is_run_again_asks_again_and_the_last_one_does_not(marked: Marked) -> None:
    await marked.approved("code")
    async with marked.reviewed.open() as runner:
        there = config_of(marked.reviewed.thread)
        approved = (await runner.graph.aget_state(there)).config
        await runner.graph.ainvoke(None, approved)
        assert marked.times == 1, "it is the last step: the approval has not been used"
        await runner.graph.ainvoke(None, approved)
        run = await runner.read(marked.reviewed.thread)
        assert (names(run), marked.times) == (["execute_code"], 1)
        steps = await runner.queries.steps(marked.reviewed.thread)
        assert "what was approved is asked about again" in [step["summary"] for step in steps]


async def test_approved_calls_are_asked_about_again_when_another_model_is_to_answer(
    marked: Marked, tmp_path: Path
) -> None:
    await marked.approved("calls", cell="x = llm_query('secret')")
    other = write_script(tmp_path / "other.py", ["FINAL(1)"])
    run = await marked.reviewed.resume(sub_model=other)
    [request] = requests(run)
    assert (request["args"]["calls"][0]["model"], marked.reviewed.asked.prompts) == (other, [])
    assert (await marked.reviewed.decide(APPROVE)).status == "answered"


async def test_approved_calls_are_made_when_nothing_changes(marked: Marked) -> None:
    await marked.approved("calls", cell="x = llm_query('secret')")
    assert (await marked.reviewed.resume()).status == "answered"
    assert marked.reviewed.asked.prompts == ["secret"]
