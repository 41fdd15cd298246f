"""The preview of a fork says what holds once the fork is made."""

from contextlib import closing
from pathlib import Path

from durable_rlm import Runner
from durable_rlm.graph.fork_preview import fork_preview
from durable_rlm.state.db.connection import connect
from tests.graph.fork.homes import step


async def test_the_limits_leave_a_fork_what_its_budget_does(runner: Runner, tmp_path: Path, model: str) -> None:
    await runner.run("What?", "the input", model=model, thread="priced", max_cost=9, price=(1000, 1000))
    with closing(connect(tmp_path / "home" / "checkpoints.sqlite")) as connection:
        # An attempt before the answer was lost: what it is likely to have cost counts.
        connection.execute(
            "UPDATE calls SET attempts = 2, uncertain_calls = 1, uncertain_input = 5, uncertain_output = 2000, "
            "uncertain_tokens = 2005, uncertain_cost = 2.005, uncertain_input_cost = 0.005 "
            "WHERE thread_id = 'priced' AND kind = 'llm' AND turn = 1"
        )
        connection.commit()
    at = await step(runner, "execute_code", 2, "characters", thread="priced")
    thread = await runner.stores.threads.get("priced")
    preview = await fork_preview(runner.stores, runner.graph, thread, at)
    await runner.fork("priced", at, into="fork")
    before = await runner.stores.spending.before("fork")
    assert before.uncertain.calls == 2
    assert before.total_cost is not None
    assert (preview.calls_left, preview.cost_left) == (2_000 - before.model_calls, 9 - before.total_cost)
