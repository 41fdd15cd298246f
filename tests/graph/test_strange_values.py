"""Values that cannot be saved, wherever they come from: refused or mended in words, and no other run suffers."""

import json
import math
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph import create
from durable_rlm.graph.run import Run
from durable_rlm.state.errors import UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

SURROGATE = "a\ud800"
NAN, INFINITE = math.nan, math.inf


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    """A runner whose other run, afterwards, is answered and shown in JSON that every program reads."""
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner
        other = await ask(runner, tmp_path, "FINAL('fine')", thread="other")
        assert (other.status, other.answer) == ("answered", "fine")
        runs = await runner.queries.runs()
        assert "other" in [run["thread_id"] for run in runs]
        for run in runs:
            shown = await runner.queries.show(run["thread_id"], runner.graph, None)
            calls = await runner.queries.calls(run["thread_id"])
            json.dumps([run, shown, [call.to_json() for call in calls]], allow_nan=False, ensure_ascii=False).encode()
            assert (await runner.verify(run["thread_id"])).ok


async def ask(runner: Runner, folder: Path, code: str, sub: str = "return prompt", **given: Any) -> Run:
    model = write_script(folder / "m.py", [repl(code), repl("FINAL('the end')")], sub=sub)
    everything: dict[str, Any] = {"question": "Q?", "model": model, "thread": "t", **given}
    return await runner.run(**everything)


COUNTS = ("max_tokens", "max_calls", "max_turns", "memory", "kernels")
AMOUNTS = ("max_cost", "max_time", "cell_timeout", "kernel_idle")
REFUSED: list[dict[str, Any]] = [
    *({name: number} for name in COUNTS for number in (10**30, -(10**30))),
    *({name: number} for name in AMOUNTS for number in (NAN, INFINITE, 1e300, -1)),
    *({name: price} for name in ("price", "sub_price") for price in [(NAN, 1), (1, INFINITE), (1e308, 0), (0, -1)]),
    *({"schema": schema} for schema in [{"maximum": 10**30}, {"const": NAN}, {"enum": [{"a": [-(2**63) - 1]}]}]),
    *({"option": {"body.x": value}} for value in (10**400, SURROGATE, NAN, [{"a": 2**63}])),
    *({"question": question} for question in (SURROGATE, "", "what \udcff?")),
    *({"thread": name} for name in (SURROGATE, "\0", "a\0b", "x" * 501, " ")),
]


@pytest.mark.parametrize("given", REFUSED, ids=lambda given: ascii(given)[:60])
async def test_a_value_that_cannot_be_saved_is_refused_before_anything_is_asked(
    runner: Runner, tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as refused:
        await ask(runner, tmp_path, "FINAL(1)", **given)
    assert refused.value.message.isprintable() and refused.value.hint
    assert await runner.queries.runs() == []


async def test_a_question_that_no_row_could_hold_is_refused(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "MOST_QUESTION", 100)
    with pytest.raises(UsageError, match="The question has 101 characters; it may have 100"):
        await ask(runner, tmp_path, "FINAL(1)", question="x" * 101)


@pytest.mark.parametrize("limit", [{"max_tokens": 10**30}, {"max_cost": INFINITE}, {"max_time": NAN}], ids=ascii)
async def test_a_resume_and_a_fork_refuse_them_as_well(runner: Runner, tmp_path: Path, limit: dict[str, Any]) -> None:
    await ask(runner, tmp_path, "FINAL(1)")
    with pytest.raises(UsageError):
        await runner.resume("t", **limit)
    with pytest.raises(UsageError):
        await runner.fork("t", 3, **limit)
    for name in (SURROGATE, "\0", "x" * 501):
        with pytest.raises(UsageError):
            await runner.fork("t", 3, into=name)
    with pytest.raises(UnknownThread):
        await runner.read(SURROGATE)


CODES = {
    "FINAL(10**30)": 10**30,
    "FINAL(float('inf'))": "the end",
    "FINAL('a\\ud800')": "a\ufffd",
    "FINAL('a\\0b')": "a\0b",
    "globals()['a\\ud800'] = 10**5000\nx = float('nan')\nFINAL('b')": "b",
    "print('a\\ud800\\0')\nFINAL('b')": "b",
    "FINAL(llm_query('a\\ud800'))": "a\ufffd",
    "raise ValueError('a\\ud800\\0')": "the end",
    "llm_query('x', model='a\\ud800')": "the end",
    "llm_query('x', max_tokens=10**30)": "the end",
    "rlm_query('x', schema={'maximum': 10**30})": "the end",
}


@pytest.mark.parametrize("code", CODES)
async def test_code_with_strange_values_is_answered(runner: Runner, tmp_path: Path, code: str) -> None:
    ended = await ask(runner, tmp_path, code, max_depth=2)
    assert (ended.status, ended.answer) == ("answered", CODES[code]), ended.error


@pytest.mark.parametrize(
    ("sub", "part"),
    [
        ("raise ValueError('a\\ud800\\0')", "a\ufffd"),
        ("raise ValueError('x' * 3_000_000)", "xxx"),
        ("raise StopIteration", "StopIteration"),
        ("return 'a\\ud800'", "a\ufffd"),
        ("return 'a' + chr(0)", "a\0"),
    ],
)
async def test_a_strange_answer_or_failure_of_a_model_is_recorded(
    runner: Runner, tmp_path: Path, sub: str, part: str
) -> None:
    code = "[got] = llm_query_batched(['q'])\nFINAL(got or got.error)"
    ended = await ask(runner, tmp_path, code, sub=sub)
    assert ended.status == "answered" and part in ended.answer and len(ended.answer) < 20_000
