"""The part of the session contract about the query functions: what they take, and what is refused.

A test class inherits from it, beside `session_contract.SessionContract`.
"""

import asyncio
from pathlib import Path

import pytest

from durable_rlm.kernel import cell
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import (
    REFUSED_ON,
    Answered,
    Cell,
    ContextFiles,
    Failed,
    Kernels,
    KernelSession,
    KernelSpec,
    Origin,
    Outcome,
    PostedCall,
)
from tests.contract.session_contract import run

PROMPTS = {
    "llm_query(query='q')": ["q"],
    "llm_query('i', 'a text')": ["i\n\na text"],
    "llm_query('i', 'word')": ["i\n\nword"],
    "llm_query('i', 'https://example.org/x')": ["i\n\nhttps://example.org/x"],
    "llm_query('i', context='t', model='provider:sub')": ["i\n\nt"],
    "llm_query('i', 'a text', model='provider:sub')": ["i\n\na text"],
    "llm_query('i', ['one', 'two'])": ["i\n\none\n\ntwo"],
    "llm_query(query='i', context=('one', 'two'))": ["i\n\none\n\ntwo"],
    "llm_query('q', 'provider:sub')": ["q"],
    "llm_query(7)": ["7"],
    "await allm_query(query='i', context='t')": ["i\n\nt"],
    "await allm_query('i', 'a text')": ["i\n\na text"],
    "llm_query_batched(queries=['a', 'b'])": ["a", "b"],
    "llm_query_batched(prompt_list=['a', 'b'])": ["a", "b"],
    "llm_query_batched(['a', 'b'], 'for all')": ["a\n\nfor all", "b\n\nfor all"],
    "llm_query_batched(['a', 'b'], ['one', 'two'])": ["a\n\none", "b\n\ntwo"],
    "llm_query_batched(['a', 'b'], context=['one', None])": ["a\n\none", "b"],
    "llm_query_batched(['a', 'b'], context=['1', '2', '3'])": ["a\n\n1\n\n2\n\n3", "b\n\n1\n\n2\n\n3"],
    "llm_query_batched(['a', 'b'], 'provider:sub')": ["a", "b"],
    "rlm_query(query='i', context='t')": ["i\n\nt"],
    "await arlm_query(query='i', context='t')": ["i\n\nt"],
    "rlm_query_batched(queries=['a', 'b'], context=['one', 'two'])": ["a\n\none", "b\n\ntwo"],
}
"""Calls, and the prompts that they post where there are no sub-RLMs."""

ERRORS = {
    "llm_query()": "prompt= is missing",
    "llm_query(None)": "prompt= is missing",
    "llm_query('a', query='b')": "prompt= and query= are one argument",
    "llm_query(['a', 'b'])": "for many use llm_query_batched",
    "llm_query('a', 'gemini:pro-2.5')": "no model named 'gemini:pro-2.5' is configured; there are provider:root",
    "llm_query('a', 'root')": "no model named 'root' is configured",
    "llm_query('a', {'type': 'object'})": "a schema is schema=",
    "llm_query('a', 'a text', context='another')": "the text is given twice",
    "llm_query('a', 'provider:sub', model='provider:root')": "the model is given twice",
    "llm_query('a', context=7)": "not a int",
    "llm_query('a', max_tokens=0)": "from 1 to 1,000,000",
    "llm_query('a', max_tokens=1_000_001)": "from 1 to 1,000,000",
    "llm_query('a', max_tokens=True)": "max_tokens is a whole number, not True",
    "llm_query('a', max_tokens=1.5)": "max_tokens is a whole number, not 1.5",
    "llm_query('a', max_tokens='many')": "max_tokens is a whole number, not 'many'",
    "llm_query_batched(['a'], queries=['b'])": "prompts= and queries= are one argument",
    "llm_query_batched(['a', None])": "a prompt is one text, not a NoneType",
    "llm_query_batched('a')": "for one prompt use llm_query",
    "rlm_query('a', max_tokens=5)": "max_tokens",
}
"""Calls that are refused in the kernel, and a part of their errors."""

LONG = "'long text ' * 10_000"
QUOTING = (
    f"llm_query('a', model={LONG})",
    f"llm_query('a', max_tokens={LONG})",
    f"llm_query('a', model=[{LONG}])",
    f"llm_query_batched(['a'], model={LONG})",
    f"rlm_query('a', model={LONG})",
    "FINAL_VAR('x' * 100_000)",
    f"context[{LONG}]",
)

SWALLOW = "\n    try:\n        llm_query('q')\n    except Exception:\n        pass"
SPENT = Failed("budget", "the budget is spent")


def refuse(prompt: str) -> Outcome:
    """Refuse every call, because the budget is spent."""
    del prompt
    return SPENT


async def posted(session: KernelSession, *blocks: str) -> tuple[list[PostedCall], CellResult]:
    """Run a cell, and return its calls and its result."""
    await session.begin(Cell(1, blocks))
    calls: list[PostedCall] = []
    while (call := await session.next_call()) is not None:
        calls.append(call)
        await session.deliver(call.id, Answered("fine"))
    return calls, await session.result()


class QueryContract:
    """The promises of a session about the query functions."""

    async def test_the_query_functions_take_what_models_write(self, session: KernelSession) -> None:
        for code, prompts in PROMPTS.items():
            calls, result = await posted(session, code)
            assert ([call.prompt for call in calls], result.status) == (prompts, "ok"), (code, result.error)
            assert [call.model for call in calls] == ["provider:sub" if "provider:sub" in code else None] * len(calls)

    async def test_arguments_that_mean_nothing_are_refused_with_a_clear_error(self, session: KernelSession) -> None:
        for code, message in ERRORS.items():
            calls, result = await posted(session, code)
            assert not calls and result.error is not None and message in result.error.message, (code, result.error)

    async def test_errors_never_quote_a_whole_text(self, kernels: Kernels, tmp_path: Path) -> None:
        session = await kernels.start(KernelSpec("t", _documents(tmp_path), models=("provider:root",)))
        for code in QUOTING:
            _, result = await posted(session, code)
            assert result.error is not None and len(result.error.message) < 300, code

    async def test_a_document_can_follow_a_prompt_by_itself_in_a_slice_or_whole(
        self, kernels: Kernels, tmp_path: Path
    ) -> None:
        session = await kernels.start(KernelSpec("t", _documents(tmp_path), sub_rlms=True))
        code = "llm_query('i', context[0])\nllm_query('i', context[:1])\nllm_query('i', [context[1], 'x'])"
        calls, _ = await posted(session, f"{code}\nllm_query('i', context)")
        first, second = "first text", "second text"
        assert [call.prompt for call in calls[:3]] == [f"i\n\n{first}", f"i\n\n{first}", f"i\n\n{second}\n\nx"]
        assert first in calls[3].prompt and second in calls[3].prompt
        assert not any(call.context for call in calls)

    async def test_a_call_has_the_output_limit_that_the_code_asked_for(self, session: KernelSession) -> None:
        code = "llm_query('a', max_tokens=7)\nllm_query_batched(['b'], max_tokens=8)"
        more = "import numpy\nawait allm_query('c', max_tokens=9)\nllm_query('d', max_tokens=numpy.int64(10))"
        calls, _ = await posted(session, code, more, "llm_query('e')")
        assert [call.max_tokens for call in calls] == [7, 8, 9, 10, None]

    async def test_a_call_has_the_block_and_the_line_of_the_cell_that_led_to_it(self, session: KernelSession) -> None:
        ask = "def ask():\n    return llm_query('a')"
        threads = "import threading\nthread = threading.Thread(target=ask)\nthread.start()\nthread.join()"
        calls, _ = await posted(session, ask, "\n\nask()\nawait allm_query('b')\n\nllm_query_batched(['c'])", threads)
        origins = [call.origin for call in calls]
        assert origins == [Origin(2, 3), Origin(2, 4), Origin(2, 6), Origin()]

    @pytest.mark.parametrize("failed", [SPENT, Failed("usage", "no such model")])
    async def test_a_cell_that_swallows_refusals_for_ever_is_interrupted(
        self, session: KernelSession, failed: Failed
    ) -> None:
        code = f"kept = 1\nwhile True:{SWALLOW}"
        result = await asyncio.wait_for(run(session, code, answer=lambda _: failed), 60)
        assert (result.status, result.final) == ("timeout", None)
        assert result.error is not None and result.error.name == REFUSED_ON
        assert f"after {cell.MOST_REFUSALS} refusals" in result.error.message
        assert (await run(session, "kept")).output == "1\n"

    async def test_a_cell_whose_calls_fail_otherwise_runs_to_its_end(self, session: KernelSession) -> None:
        code = f"for _ in range({cell.MOST_REFUSALS + 50}):{SWALLOW}"
        assert (await run(session, code, answer=lambda _: Failed("model", "it broke"))).status == "ok"

    async def test_a_batch_or_a_gather_of_thousands_that_is_refused_runs_to_its_end(
        self, session: KernelSession
    ) -> None:
        batches = f"for _ in range(10):{SWALLOW}".replace("llm_query('q')", "llm_query_batched(['q'] * 1000)")
        assert (await run(session, batches, answer=refuse)).status == "ok"
        tasks = "tasks = [allm_query('q') for _ in range(3000)]\nimport asyncio"
        gather = "len(await asyncio.gather(*tasks, return_exceptions=True))"
        assert (await run(session, tasks, gather, answer=refuse)).output == "3000\n"

    async def test_a_cell_that_ends_in_time_after_its_refusals_has_its_own_result(
        self, session: KernelSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cell, "MOST_REFUSALS", 40)
        result = await run(session, f"for _ in range(39):{SWALLOW}\nprint('partial')\nFINAL(39)", answer=refuse)
        assert result.status == "ok" and result.final is not None and result.final.value == 39


def _documents(folder: Path) -> ContextFiles:
    pack, index = folder / "pack", folder / "index"
    pack.write_text("first textsecond text")
    index.write_text(
        '{"name": "a", "start": 0, "end": 10, "chars": 10, "meta": {}}\n'
        '{"name": "b", "start": 10, "end": 21, "chars": 11, "meta": {}}\n'
    )
    return ContextFiles(pack, index)
