"""The budget of a tree of runs compared with what the server received, with and without failures."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.runtime.dependencies import OpenModels
from tests.crash_at import Crash, CrashAt
from tests.nodes.sub_calls.trees.conftest import LAST_TURN, model, of_run, open_home, question_of, tree
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer
from tests.servers.received import Body

PRICE = (2.0, 10.0)


def below_the_top(body: Body) -> bool:
    return question_of(body["messages"]) != "top"


def unreliable() -> list[Fault]:
    """Return failures of every request except those of the run at the top."""
    return [
        Fault("status", status=429, share=0.15, when=below_the_top),
        Fault("status", status=500, share=0.1, when=below_the_top),
        Fault("reset", share=0.1, when=below_the_top),
        Fault("reset", after=50, share=0.1, when=below_the_top),
    ]


def deep(middles: int, leaves: int) -> Any:
    """Return a tree of three levels: each leaf sends a plain call; a run whose budget ends passes on what it has."""
    asking = "try:\n    got = {}\nexcept BudgetExceeded as spent:\n    got = spent.partial\n"
    top = asking.format(f"rlm_query_batched([f'middle {{n}}' for n in range({middles})], context=[*'{'m' * middles}'])")
    middle = asking.format(f"rlm_query_batched([f'leaf {{n}}' for n in range({leaves})])")
    ending = "FINAL([len(got), sum(map(bool, got))])"
    return tree({"top": [top, ending], "middle": [middle, ending], "leaf": ["FINAL(llm_query('plain ' * 30))"]})


def rambling(prompt: str) -> str:
    """Return an answer that uses up any output limit."""
    return "word " * 20_000


LIMITS: dict[str, dict[str, Any]] = {
    "calls": {"max_calls": 40},
    "tokens": {"max_tokens": 250_000},
    "few tokens": {"max_tokens": 40_000},
    "cost": {"max_cost": 1.2},
    "all": {"max_calls": 40, "max_tokens": 300_000, "max_cost": 1.2},
}


def check_within(server: ScriptedServer, limits: dict[str, Any]) -> None:
    assert len(server.requests) <= limits.get("max_calls", len(server.requests))
    assert server.billed.total <= limits.get("max_tokens", server.billed.total)
    assert server.billed.cost(PRICE) <= limits.get("max_cost", server.billed.cost(PRICE))
    assert all(seen.output_limit for seen in server.requests), "every request carries an output limit"


@pytest.mark.parametrize("faulty", [False, True], ids=["reliable", "unreliable"])
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
async def test_a_tree_never_sends_more_than_its_budget_and_the_top_has_a_last_turn(
    runner: Runner, limits: dict[str, Any], faulty: bool
) -> None:
    faults = unreliable() if faulty else []
    with ScriptedServer(deep(4, 8), rambling, cuts=True, jitter=0.02, faults=faults) as server:
        run = await runner.run(
            "top", max_depth=3, kernels=8, price=PRICE, **{"max_calls": 5_000, **limits}, **model(server)
        )
    check_within(server, limits)
    assert run.usage["model_calls"] == len(server.requests)
    assert run.status == "answered" and run.answer[0] == 4
    last = server.requests[-1].messages
    assert question_of(last) == "top"
    if len(server.requests) == limits.get("max_calls"):
        assert LAST_TURN in last[-1]["content"], "the request that is kept belongs to the run at the top"
    requested = Counter(question_of(seen.messages).partition(" ")[0] for seen in server.requests)
    assert requested["leaf"], "runs of the third level have sent requests"


async def test_a_tree_of_three_levels_and_two_hundred_leaves_stays_within_its_budget(runner: Runner) -> None:
    limits: dict[str, Any] = {"max_calls": 350, "max_tokens": 1_500_000, "max_cost": 10.0}
    with ScriptedServer(deep(10, 20), str.upper, cuts=True, jitter=0.02, faults=unreliable()) as server:
        run = await runner.run("top", max_depth=3, kernels=40, price=PRICE, **limits, **model(server))
    check_within(server, limits)
    assert run.usage["model_calls"] == len(server.requests) == 350
    assert run.status == "answered" and run.answer[0] == 10
    assert LAST_TURN in server.requests[-1].messages[-1]["content"]


REFUSED = {
    "top": ["try:\n    rlm_query('middle')\nexcept BudgetExceeded as spent:\n    said = str(spent)", "FINAL(said)"],
    "middle": ["rlm_query('leaf')", "FINAL('too late')"],
    "leaf": ["for n in range(50):\n    llm_query(f'plain {n}')", "FINAL('too late')"],
}


async def test_a_spent_budget_raises_in_the_run_that_meets_it_and_then_in_each_of_its_callers(runner: Runner) -> None:
    with ScriptedServer(tree(REFUSED), str.upper) as server:
        run = await runner.run("top", thread="t", max_depth=3, max_calls=10, **model(server))
    assert (run.status, len(server.requests)) == ("answered", 10)
    assert "10 calls" in run.answer and "--max-calls" in run.answer
    rows = {row["question"]: row for row in await runner.queries.runs()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "top": "answered",
        "middle": "budget",
        "leaf": "budget",
    }
    for name in ("leaf", "middle"):
        shown = await runner.queries.show(rows[name]["thread_id"], runner.graph)
        assert [turn["status"] for turn in shown["turns"]] == ["error"]
        assert "BudgetExceeded" in shown["turns"][0]["output"]
        assert len(of_run(name, server)) == 1, "the call that is kept belongs to the run at the top alone"


async def test_a_run_without_an_answer_resumes_with_a_raised_budget_and_pays_for_nothing_twice(
    runner: Runner,
) -> None:
    asking = (
        "for n, part in enumerate(got):\n"
        "    if not part:\n"
        "        try:\n"
        "            got[n] = rlm_query(f'child {n}', context=f'part-{n}')\n"
        "        except BudgetExceeded:\n"
        "            break\n"
    )
    ending = "if all(got):\n    FINAL(got)"
    top = ["got = [''] * 12\n" + asking, ending, asking, ending]
    cells = {"top": top, "child": ["FINAL(llm_query(context))"]}
    with ScriptedServer(tree(cells), str.upper) as server:
        run = await runner.run("top", thread="t", max_depth=2, max_calls=12, **model(server))
        assert (run.status, run.exit_code, len(server.requests)) == ("budget", 4, 12)
        assert run.error and "--max-calls" in run.error["message"]
        before = Counter(server.asked)
        assert (await runner.resume("t")).exit_code == 4 and len(server.requests) == 12
        run = await runner.resume("t", max_calls=60)
    assert (run.status, run.answer) == ("answered", [f"PART-{n}" for n in range(12)])
    assert run.usage["model_calls"] == len(server.requests)
    paid = {prompt: times for prompt, times in server.asked.items() if prompt.startswith("part-")}
    assert len(paid) == 12 and set(paid.values()) == {1} and len(before) < 12


CHILDREN = {
    "top": [
        "try:\n    got = rlm_query_batched(['child'] * 2, context=['c', 'd'])\n"
        "except BudgetExceeded as spent:\n    got = [str(spent)]",
        "FINAL(got)",
    ],
    "child": [
        "got = []\nfor n in range(10):\n    got.append(llm_query(f'{context}{n} plain'))",
        "got += [llm_query(f'{context}{n} plain') for n in range(len(got), 10)]\nFINAL('/'.join(got))",
    ],
}


async def test_sub_rlms_that_were_refused_before_a_crash_resume_in_mid_cell_with_a_raised_budget(
    tmp_path: Path, open_model: OpenModels
) -> None:
    with ScriptedServer(tree(CHILDREN), str.upper) as server:
        with pytest.raises(Crash):
            # Both children have ended because the budget is spent; their caller has not recorded it.
            async with open_home(tmp_path, open_model, failpoint=CrashAt("cell-ended", 3)) as runner:
                await runner.run("top", thread="t", max_depth=2, max_calls=12, **model(server))
        assert len(server.requests) == 11, "one request is kept for a last turn"
        async with open_home(tmp_path, open_model) as runner:
            run = await runner.resume("t", max_calls=40)
            assert run.answer == ["/".join(f"{name}{n} PLAIN" for n in range(10)) for name in "CD"]
            assert run.usage["model_calls"] == len(server.requests)
            assert {row["status"] for row in await runner.queries.runs()} == {"answered"}
    assert set(server.asked.values()) == {1}


async def test_a_fork_of_a_tree_does_not_get_a_new_budget(runner: Runner) -> None:
    cells = {
        "top": [*CHILDREN["top"][:1], "rlm_query('more')", "FINAL(1)"],
        "child": CHILDREN["child"],
        "more": ["FINAL(llm_query('more'))"],
    }
    with ScriptedServer(tree(cells), str.upper) as server:
        await runner.run("top", thread="t", max_depth=2, max_calls=12, **model(server))
        assert len(server.requests) == 12
        steps = await runner.queries.steps("t")
        first = next(step["step"] for step in steps if step["kind"] == "plan")
        ended = next(step["step"] for step in reversed(steps) if step["kind"] == "execute_code")
        for step, name in ((first, "early"), (ended, "late")):
            await runner.fork("t", step, into=name, fresh=True)
            before = len(server.requests)
            spent = await runner.stores.spending.before(name)
            run = await runner.resume(name)
            assert run.usage["model_calls"] == len(server.requests) - before <= 12 - spent.model_calls
        assert spent.model_calls >= 11, "the spending of its children counts for a fork at a later step"
