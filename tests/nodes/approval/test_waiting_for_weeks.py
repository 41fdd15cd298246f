"""Runs that wait for a decision wait on disk: they resume weeks later, in another process, after `rlm gc`, in forks."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.graph.executor import config_of
from durable_rlm.graph.maintenance import collect_garbage, verify_run
from durable_rlm.kernel.session import Sandbox
from durable_rlm.state.errors import UsageError
from durable_rlm.state.maintenance.report import Report
from durable_rlm.state.open_home import open_stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import ask, change
from tests.dead_owners import mark_owner_dead
from tests.graph.sub_rlms.conftest import tree_script
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests

WEEKS = 21 * 24 * 3600.0
CELLS = [
    "x = alias = [llm_query('first')]\nx += llm_query_batched(['a', 'b'])\ntry:\n"
    "    llm_query_batched(['never', 'ever'])\nexcept CallsRejected as no:\n    x.append(str(no))",
    "FINAL([x, alias is x])",
]
LIST = ["FIRST", "A", "B", "not these"]
ANSWER = [LIST, True]


def later(shift: float) -> Callable[[], float]:
    """Return a wall clock that is `shift` seconds ahead."""
    return lambda: time.time() + shift


async def decide_at(reviewed: Reviewed, shift: float, *decisions: dict[str, Any]) -> Run:
    async with Runner.open(reviewed.home, kernels=MemoryKernels(), clock=later(shift)) as runner:
        return await runner.decide(reviewed.thread, list(decisions))


async def verified(reviewed: Reviewed, thread: str | None = None) -> Report:
    async with open_stores(reviewed.home) as stores:
        return await verify_run(stores, thread or reviewed.thread)


async def waiting_in_mid_cell(reviewed: Reviewed) -> Run:
    """Start the run and approve the first calls of its cell, so that the next calls of the same cell wait."""
    await reviewed.start(CELLS, "calls>1")
    run = await reviewed.decide(APPROVE)
    assert [call["prompt"] for call in requests(run)[0]["args"]["calls"]] == ["never", "ever"]
    return run


async def test_a_decision_weeks_later_resumes_in_mid_cell_and_the_wait_is_not_time_of_the_run(
    reviewed: Reviewed,
) -> None:
    await waiting_in_mid_cell(reviewed)
    run = await decide_at(reviewed, WEEKS, reject("not these"))
    assert (run.answer, reviewed.asked.prompts) == (ANSWER, ["a", "b", "first"])
    async with reviewed.open() as runner:
        assert (await runner.queries.about(reviewed.thread))["seconds"] < 60


async def test_a_time_limit_is_not_used_up_by_the_wait(reviewed: Reviewed) -> None:
    await reviewed.start(["x = llm_query('a')", "FINAL(x)"], "code", "budget", max_time=600.0)
    assert names(await decide_at(reviewed, WEEKS, APPROVE)) == ["execute_code"]
    assert (await decide_at(reviewed, 2 * WEEKS, APPROVE)).answer == "A"


async def test_a_decision_is_refused_while_another_process_has_the_lease_and_applied_after_its_death(
    reviewed: Reviewed,
) -> None:
    await waiting_in_mid_cell(reviewed)
    async with reviewed.open() as runner:
        await runner.stores.leases.acquire(reviewed.thread)
        busy = await reviewed.decide(reject("not these"))
        assert (busy.status, busy.exit_code) == ("busy", 5)
        mark_owner_dead(reviewed.home)
        run = await reviewed.decide(reject("not these"))
    assert (run.answer, reviewed.asked.prompts) == (ANSWER, ["a", "b", "first"])


# -- stored texts


async def test_the_texts_of_requests_and_decisions_are_verified_and_survive_a_collection(
    reviewed: Reviewed,
) -> None:
    await waiting_in_mid_cell(reviewed)
    async with reviewed.open() as runner:
        await runner.fork(reviewed.thread, 1, into="of-no-use")
        await runner.delete("of-no-use")
    report = await verified(reviewed)
    assert report.ok
    await collect_garbage(reviewed.home)
    after = await verified(reviewed)
    assert (after.ok, after.checked) == (True, report.checked)
    run = await reviewed.decide(reject("not these"))
    assert (run.answer, reviewed.asked.prompts) == (ANSWER, ["a", "b", "first"])
    await collect_garbage(reviewed.home)
    assert (await verified(reviewed)).ok


@pytest.mark.parametrize("lost", ["what waits for approval", "what a reviewer decided"])
async def test_a_damaged_text_of_a_request_or_decision_is_reported_and_hides_nothing_else(
    reviewed: Reviewed, lost: str
) -> None:
    await waiting_in_mid_cell(reviewed)
    async with reviewed.open() as runner:
        state = (await runner.graph.aget_state(config_of(reviewed.thread))).values
    name = state["asks"]["asked"] if "waits" in lost else state["verdicts"][0]["decided"]
    [(body,)] = ask(reviewed.home, "SELECT body FROM texts WHERE hash = ?", name)
    damage = "UPDATE texts SET body = ? WHERE hash = ?"
    change(reviewed.home, damage, b"other", name)
    [problem] = (await verified(reviewed)).problems
    assert (problem.kind, problem.name) == ("text", name)
    assert any(lost in needed for needed in problem.needed_by), problem.needed_by
    async with reviewed.open() as runner:
        shown = await runner.queries.show(reviewed.thread, runner.graph)
        assert [turn["code"] for turn in shown["turns"]] == [[CELLS[0]]]
        assert (await runner.read(reviewed.thread)).status == "paused"
    run = await reviewed.decide(reject("not these"))
    assert (run.status, run.exit_code) == ("failed", 1)
    assert run.error and run.error["type"] == "StoredDataDamaged", run.error
    change(reviewed.home, damage, body, name)
    if names(await reviewed.resume()):
        run = await reviewed.decide(reject("not these"))
    assert ((await reviewed.resume()).answer, reviewed.asked.prompts) == (ANSWER, ["a", "b", "first"])


# -- forks


async def steps_of(reviewed: Reviewed) -> list[dict[str, Any]]:
    async with reviewed.open() as runner:
        return await runner.queries.steps(reviewed.thread)


async def fork(reviewed: Reviewed, step: int, name: str, **changes: Any) -> Reviewed:
    """Fork the run at a step, and return the fork with a reviewer of its own."""
    async with reviewed.open() as runner:
        await runner.fork(reviewed.thread, step, into=name, **changes)
    fork = Reviewed(reviewed.folder)
    fork.thread, fork.asked = name, reviewed.asked
    return fork


async def test_a_fork_of_a_waiting_run_waits_for_its_own_decision(reviewed: Reviewed) -> None:
    before = await waiting_in_mid_cell(reviewed)
    other = await fork(reviewed, (await steps_of(reviewed))[-1]["step"], "other")
    waiting = await other.resume()
    [request] = requests(waiting)
    assert (request["thread_id"], request["args"]) == ("other", requests(before)[0]["args"])
    for run, thread in ((before, other), (waiting, reviewed)):
        with pytest.raises(UsageError, match="does not wait"):
            await thread.decide(reject(), interrupt=run.interrupts[0]["id"])
    assert (await other.decide(reject("not these"))).answer == ANSWER
    assert (await reviewed.resume()).interrupts == before.interrupts
    assert (await reviewed.decide(APPROVE)).answer == [["FIRST", "A", "B"], True]
    assert reviewed.asked.prompts == ["a", "b", "ever", "first", "never"]


async def test_a_fork_of_a_waiting_run_may_have_other_answers_to_the_approved_calls(reviewed: Reviewed) -> None:
    await waiting_in_mid_cell(reviewed)
    async with reviewed.open() as runner:
        calls = [call.to_json() for call in await runner.queries.calls(reviewed.thread)]
    [first] = [call["key"] for call in calls if call["prompt"] == "first"]
    other = await fork(reviewed, (await steps_of(reviewed))[-1]["step"], "other", answers={first: "other"})
    [request] = requests(await other.resume())
    assert (request["thread_id"], request["args"]["count"]) == ("other", 2)
    assert (await other.decide(reject("not these"))).answer == [["other", *LIST[1:]], True]
    assert reviewed.asked.prompts == ["a", "b", "first"]


@pytest.mark.parametrize("kind", ["plan", "review", "execute_code", "sub_call"])
async def test_a_fork_at_any_step_of_a_reviewed_run_ends_and_pays_for_no_answer_again(
    reviewed: Reviewed, kind: str
) -> None:
    run = await reviewed.start(CELLS, "all")
    while run.status == "paused":
        [request] = requests(run)
        never = request["name"] == "sub_calls" and "never" in str(request["args"])
        run = await reviewed.decide(reject("not these") if never else APPROVE)
    assert run.answer == ANSWER
    paid = reviewed.asked.prompts
    first, *_, last = [step for step in await steps_of(reviewed) if step["kind"] == kind]
    for step in (first, last):
        other = await fork(reviewed, step["step"], f"at-{step['step']}")
        end = await other.resume()
        while end.status == "paused":
            assert {request["thread_id"] for request in requests(end)} == {other.thread}
            end = await other.decide(*[APPROVE] * len(requests(end)))
        assert end.answer == ANSWER, step
        assert (await verified(reviewed, other.thread)).ok
    assert reviewed.asked.prompts == paid


async def test_a_fork_of_a_run_with_waiting_sub_rlms_has_waiting_sub_rlms_of_its_own(reviewed: Reviewed) -> None:
    tree = {"top": ["x = rlm_query_batched(['sub a', 'sub b'])", "FINAL(x)"], "sub": ["FINAL(llm_query('deep'))"]}
    model = tree_script(reviewed.folder / "tree.py", tree)
    await reviewed.run(model, "code", question="top", max_depth=2)
    before = await reviewed.decide(APPROVE)
    assert names(before) == ["execute_code", "execute_code"]
    other = Reviewed(reviewed.folder)
    other.thread = "other"
    async with reviewed.open() as runner:
        steps = await runner.queries.steps(reviewed.thread)
        await runner.fork(reviewed.thread, steps[-1]["step"], into=other.thread)
    # The code under way was approved for the other run.
    assert names(await other.resume()) == ["execute_code"]
    waiting = await other.decide(APPROVE)
    assert names(waiting) == names(before)
    theirs, own = ({request["thread_id"] for request in requests(run)} for run in (before, waiting))
    assert len(theirs | own) == 4, "no request belongs to both runs"
    assert (await other.approve_all(waiting)).answer == ["DEEP", "DEEP"]
    assert (await reviewed.resume()).interrupts == before.interrupts
    assert (await reviewed.approve_all(before)).answer == ["DEEP", "DEEP"]


async def test_a_fork_of_a_run_that_waits_at_the_budget_gate_waits_for_its_own_decision(reviewed: Reviewed) -> None:
    before = await reviewed.start(["x = 1", "x = 2", "FINAL(x)"], "budget", max_turns=2)
    other = await fork(reviewed, (await steps_of(reviewed))[-1]["step"], "other")
    waiting = await other.resume()
    assert (names(waiting), requests(waiting)[0]["thread_id"]) == (["budget"], "other")
    assert (await other.decide(edit(limit=5))).answer == 2
    assert (await reviewed.resume()).interrupts == before.interrupts


# -- two decisions at once


class SlowToBeReady(MemoryKernels):
    """Kernels that become ready when an event is set."""

    def __init__(self) -> None:
        super().__init__()
        self.requested, self.ready = asyncio.Event(), asyncio.Event()

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        self.requested.set()
        await self.ready.wait()
        return await super().warm_up(sandboxed=sandboxed, environment=environment)


@asynccontextmanager
async def about_to_decide(home: Path, thread: str, *decisions: dict[str, Any]) -> AsyncGenerator["asyncio.Task[Run]"]:
    """Begin a decision whose runner has read the request and waits for its kernels. They are ready after the body."""
    kernels = SlowToBeReady()
    async with Runner.open(home, kernels=kernels) as runner:
        task = asyncio.create_task(runner.decide(thread, list(decisions)))
        await kernels.requested.wait()
        yield task
        kernels.ready.set()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_decision_on_a_request_that_was_decided_meanwhile_is_refused_and_changes_nothing(
    reviewed: Reviewed,
) -> None:
    await waiting_in_mid_cell(reviewed)
    async with about_to_decide(reviewed.home, reviewed.thread, APPROVE) as late:
        run = await reviewed.decide(reject("not these"))
        steps = await steps_of(reviewed)
    with pytest.raises(UsageError, match="does not wait for approval"):
        await late
    assert await steps_of(reviewed) == steps
    assert (run.answer, reviewed.asked.prompts) == (ANSWER, ["a", "b", "first"])
