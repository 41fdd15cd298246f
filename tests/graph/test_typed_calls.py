"""The schemas of typed sub-calls are recorded with them: listed, kept by a collection, and verified."""

from pathlib import Path
from typing import Any

from durable_rlm.graph.maintenance import collect_garbage, verify_run
from durable_rlm.state.open_home import open_stores
from tests.damage import ask, change
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, respond

SCHEMA: dict[str, Any] = {"type": "string", "description": "what is to be found"}
CELL = f"x = llm_query('plain')\ny = llm_query('typed', schema={SCHEMA})\nz = rlm_query('child', schema={SCHEMA})"


async def schemas(reviewed: Reviewed) -> dict[str, Any]:
    async with reviewed.open() as runner:
        return {call.prompt: call.to_json()["schema"] for call in await runner.queries.calls(reviewed.thread)}


async def test_every_typed_call_is_listed_with_its_schema(tmp_path: Path) -> None:
    reviewed = Reviewed(tmp_path)
    run = await reviewed.start([CELL, "FINAL(1)"], sub="return '\"yes\"'", max_depth=2)
    assert run.status == "answered"
    assert await schemas(reviewed) == {"plain": None, "typed": SCHEMA, "child": SCHEMA}


async def test_a_call_that_a_reviewer_answered_has_its_schema_too(tmp_path: Path) -> None:
    reviewed = Reviewed(tmp_path)
    await reviewed.start([f"y = llm_query('typed', schema={SCHEMA})", "FINAL(y)"], "calls")
    assert (await reviewed.decide(respond('"mine"'))).answer == "mine"
    assert await schemas(reviewed) == {"typed": SCHEMA}


async def test_the_texts_of_schemas_are_kept_and_a_damaged_one_costs_no_answer(tmp_path: Path) -> None:
    reviewed = Reviewed(tmp_path)
    await reviewed.start([f"y = llm_query('typed', schema={SCHEMA})", "FINAL(y)"], "calls", sub="return '\"yes\"'")
    await reviewed.decide(APPROVE)
    where = "hash IN (SELECT json_extract(parameters, '$.schema') FROM calls)"
    change(reviewed.home, f"UPDATE texts SET touched = 0 WHERE {where}")
    await collect_garbage(reviewed.home)
    assert await schemas(reviewed) == {"typed": SCHEMA}
    change(reviewed.home, f"UPDATE texts SET body = ? WHERE {where}", b"other")
    async with open_stores(reviewed.home) as stores:
        report = await verify_run(stores, reviewed.thread)
    [problem] = report.problems
    [(key,)] = ask(reviewed.home, "SELECT key FROM calls WHERE parameters LIKE '%schema%'")
    assert problem.needed_by == [f"the schema of call {key}"]
    assert report.whole["calls"][0] == report.whole["calls"][1], "the answer is whole"
    assert (await schemas(reviewed))["typed"].startswith("[The stored text")
