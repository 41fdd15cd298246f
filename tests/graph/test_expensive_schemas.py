"""Schemas that take too much work to check: a clear error wherever they come from, with no effect on other calls."""

from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models import work_limit
from durable_rlm.state.errors import UsageError
from tests.scripts import Asked, repl, write_script

BOMB = """
n = 28
defs = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}, {"$ref": f"#/$defs/a{i + 1}"}]} for i in range(n)}
defs[f"a{n}"] = {"type": "integer"}
schema = {"$defs": defs, "$ref": "#/$defs/a0"}
"""
DEEP = {"$defs": {"t": {"allOf": [{"properties": {"x": {"$ref": "#/$defs/t"}}}] * 2}}, "$ref": "#/$defs/t"}
"""A schema whose work doubles with each level of an answer."""


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(work_limit, "STEPS", 30_000)


@pytest.mark.parametrize("call", ["llm_query('q', schema=schema)", "rlm_query('q', schema=schema)"])
async def test_a_call_with_such_a_schema_raises_and_nothing_is_paid(runner: Runner, tmp_path: Path, call: str) -> None:
    model = write_script(
        tmp_path / "m.py", [repl(f"{BOMB}try:\n    {call}\nexcept SubCallError as e:\n    FINAL(str(e))")]
    )
    asked = Asked(model)
    run = await runner.run("What?", model=model, max_depth=2)
    assert "takes too much work to check" in run.answer and run.status == "answered"
    assert run.usage["model_calls"] == 1 and not asked.prompts
    assert len(await runner.queries.runs()) == 1


async def test_each_call_of_a_batch_with_such_a_schema_fails_and_other_calls_are_answered(
    runner: Runner, tmp_path: Path
) -> None:
    code = (
        f"{BOMB}bad = llm_query_batched([f'{{i}}' for i in range(50)], schema=schema)\n"
        "good = llm_query_batched(['7'] * 3, schema={'type': 'integer'})\n"
        "FINAL([sum('too much work' in one.error for one in bad), good])"
    )
    run = await runner.run("What?", model=write_script(tmp_path / "m.py", [repl(code)]))
    assert run.answer == [50, [7, 7, 7]] and run.usage["model_calls"] == 4


async def test_a_run_with_such_a_schema_is_refused(runner: Runner, tmp_path: Path) -> None:
    doubled = {f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
    schema = {"$defs": {**doubled, "a40": {"type": "integer"}}, "$ref": "#/$defs/a0"}
    with pytest.raises(UsageError, match="--schema cannot be used: it takes too much work to check") as refused:
        await runner.run("What?", model=write_script(tmp_path / "m.py", []), schema=schema)
    assert refused.value.exit_code == 2 and not await runner.queries.runs()


async def test_an_answer_that_takes_too_much_work_is_refused_and_another_one_accepted(
    runner: Runner, tmp_path: Path
) -> None:
    deep = "v = 0\nfor i in range(40):\n    v = {'x': v}\nFINAL(v)"
    model = write_script(tmp_path / "m.py", [repl(deep), repl("FINAL({'x': 1})")])
    asked = Asked(model)
    run = await runner.run("What?", model=model, schema=DEEP)
    assert (run.status, run.answer, run.turns) == ("answered", {"x": 1}, 2)
    assert "takes too much work to check" in asked.roots[1]


async def test_a_direct_answer_that_takes_too_much_work_leads_to_the_repl(runner: Runner, tmp_path: Path) -> None:
    direct = '{"x": ' * 40 + "1" + "}" * 40
    model = write_script(tmp_path / "m.py", [direct, repl("FINAL({'x': 2})")])
    script = Path(model.removeprefix("scripted:"))
    script.write_text(f"{script.read_text()}\ndef root(messages, replies=iter(REPLIES)):\n    return next(replies)\n")
    run = await runner.run("What?", model=model, mode="auto", schema=DEEP)
    assert (run.status, run.answer, run.turns) == ("answered", {"x": 2}, 1)
    assert "takes too much work to check" in str(await runner.queries.steps(run.thread_id))
