"""The part of a budget that is kept for the last turn of the run at the top: no run of its tree spends it."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm.nodes.runtime.dependencies import OpenModels
from tests.crash_at import Crash, CrashAt
from tests.nodes.sub_calls.trees.conftest import model, open_home, tree
from tests.servers.openai_server import ScriptedServer

PRICE = (2.0, 10.0)


def rambling(prompt: str) -> str:
    """Return an answer that uses up any output limit."""
    return "word " * 20_000


ENDLESS = {
    "top": [
        "try:\n    rlm_query_batched(['child'] * 3, context=[*'abc'])\nexcept BudgetExceeded:\n    pass",
        "FINAL('last')",
    ],
    "child": ["for n in range(1_000):\n    llm_query(f'{context}{n}')"],
}


@pytest.mark.parametrize("limits", [{"max_tokens": 300_000}, {"max_cost": 2.5}], ids=["tokens", "cost"])
@pytest.mark.parametrize("resumed", ["t", "child"])
async def test_a_run_resumed_in_mid_cell_does_not_spend_the_budget_kept_for_the_last_turn(
    tmp_path: Path, open_model: OpenModels, limits: dict[str, Any], resumed: str
) -> None:
    with ScriptedServer(tree(ENDLESS), rambling, cuts=True) as server:
        with pytest.raises(Crash):
            async with open_home(tmp_path, open_model, failpoint=CrashAt("journal-before", 8)) as runner:
                await runner.run("top", thread="t", max_depth=2, price=PRICE, **limits, **model(server))
        async with open_home(tmp_path, open_model) as runner:
            if resumed == "child":
                child = next(row["thread_id"] for row in await runner.queries.runs() if row["parent"] == "t")
                assert (await runner.resume(child)).status == "budget"
            run = await runner.resume("t")
    assert server.billed.total <= limits.get("max_tokens", server.billed.total)
    assert server.billed.cost(PRICE) <= limits.get("max_cost", server.billed.cost(PRICE))
    assert (run.status, run.answer) == ("answered", "last")
