"""Replaying a finished run from any of its steps without a model, to the same state (promise P7)."""

from pathlib import Path
from typing import cast

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.runtime.turns import turns_of
from durable_rlm.state.call_keys import digest
from durable_rlm.state.run_state import RunState
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

REPLIES = [
    repl("words = context.split()\nfirst = llm_query_batched(words + ['fail'])\nshared = alias = [first[0]]"),
    "Let me think about it first.",
    repl("squares = (n * n for n in range(9))\nalias += [next(squares), llm_query('again'), llm_query('again')]"),
    repl("same = [llm_query('cached', cache=True) for _ in range(3)]\nfirst[99]"),
    repl(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    many = list(pool.map(llm_query, map(str, range(8))))\n"
        "shape = llm_query('{\"n\": 1}', schema={'type': 'object'})"
    ),
    repl("FINAL([first[:2], bool(first[2]), shared, next(squares), same, many, shape])"),
]
SUB = """if prompt == 'fail':
            raise ValueError('as it was recorded')
        return prompt if prompt[0] == '{' else prompt.upper()"""


TOOK = ("seconds", "computed", "began", "ended", "snapshot", "restore", "notes")


async def hashes(runner: Runner, thread: str) -> dict[str, str]:
    """Return the hash of each turn and of the rest of a state, without times, requests and restored kernels.

    Variables are hashed by their descriptions: how equal texts are shared does not count.
    """
    state = cast(RunState, (await runner.graph.aget_state({"configurable": {"thread_id": thread}})).values)
    found: dict[str, str] = {}
    for turn in turns_of(state):
        saved = turn.get("snapshot")
        groups = await runner.stores.snapshots.groups(saved) if saved else {}
        variables = [(group["id"], group["about"], group["lost"]) for group in groups.values()]
        rest = {key: value for key, value in turn.items() if key not in TOOK}
        rest["parts"] = [(part["output"], part["error"]) for part in turn.get("parts", [])]
        found[f"turn {turn.get('number')}"] = digest(rest, sorted(variables))
    rest = {key: value for key, value in state.items() if key not in ("turns", "usage")}
    return {**found, "rest": digest(rest)}


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", REPLIES, sub=SUB)


async def test_a_finished_run_replays_without_a_model_to_the_same_state(tmp_path: Path, model: str) -> None:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", "alpha beta", model=model, thread="t")
        assert run.status == "answered", run.error
        expected = await hashes(runner, "t")
        steps = await runner.queries.steps("t")
    # From here on, any request to the model fails.
    (tmp_path / "m.py").write_text("def root(messages): raise SystemError\ndef sub(prompt): raise SystemError\n")
    for step in [steps[0], *(step for step in steps if step["kind"] == "plan"), steps[-1]]:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            fork = f"from {step['step']}"
            await runner.fork("t", step["step"], into=fork)
            again = await runner.resume(fork)
            assert (again.status, again.answer) == ("answered", run.answer), f"{step}: {again.error}"
            assert again.usage["model_calls"] == 0, step
            assert await hashes(runner, fork) == expected, step
