"""The contract of a kernel session: one suite that every implementation must pass.

A test module derives a class from it, with a fixture that starts kernels:

    class TestMemory(SessionContract):
        @pytest.fixture
        async def kernels(self): ...
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Answered, Cell, ContextFiles, Failed, Kernels, KernelSession, KernelSpec, Outcome
from durable_rlm.state.answer_tables import Column
from durable_rlm.state.blobs.snapshots import Group
from durable_rlm.state.blobs.store import content_hash
from durable_rlm.state.errors import KernelLost

Answer = Callable[[str], Outcome]


def echo(prompt: str) -> Outcome:
    """Answer a prompt with itself in capitals."""
    return Answered(prompt.upper())


async def run(session: KernelSession, *blocks: str, answer: Answer = echo, turn: int = 1) -> CellResult:
    """Run one cell to its end, answer its calls, and return its result."""
    await session.begin(Cell(turn, blocks))
    while (call := await session.next_call()) is not None:
        await session.deliver(call.id, answer(call.prompt))
    return await session.result()


class Store:
    """The saved variables of one session, stored as the graph's side stores them."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.chunks: dict[str, bytes] = {}

    def keep(self, result: CellResult) -> None:
        """Store the variables that one cell changed."""
        assert result.snapshot is not None, result.unsaved
        for number in result.snapshot.gone:
            del self.groups[number]
        self.groups.update({group["id"]: group for group in result.snapshot.groups})
        self.chunks.update({content_hash(chunk): chunk for chunk in result.snapshot.chunks})

    async def batches(self) -> AsyncIterator[dict[str, bytes]]:
        """Yield all pieces, one at a time."""
        for name, chunk in self.chunks.items():
            yield {name: chunk}


class SessionContract:
    """The promises of a session. `kernels` is a fixture of the implementation."""

    has_its_own_process: ClassVar[bool] = True
    """True if a kernel's random generators and modules are its own."""

    @pytest.fixture
    async def session(self, kernels: Kernels) -> KernelSession:
        return await kernels.start(KernelSpec("thread", models=("provider:root", "provider:sub")))

    async def test_the_output_has_printed_text_and_the_value_of_the_last_line(self, session: KernelSession) -> None:
        result = await run(session, "x = 20\nprint('hello')\nx + 1")
        assert (result.status, result.output) == ("ok", "hello\n21\n")

    async def test_variables_are_kept_between_cells(self, session: KernelSession) -> None:
        await run(session, "total = 41")
        assert (await run(session, "total + 1")).output == "42\n"

    async def test_blocks_run_in_order_and_the_first_error_ends_the_cell(self, session: KernelSession) -> None:
        result = await run(session, "a = 1", "b = a + 1\n1 / 0", "c = 3")
        assert result.status == "error"
        assert result.error is not None and result.error.name == "ZeroDivisionError"
        assert (await run(session, "print(a, b, 'c' in globals())")).output == "1 2 False\n"

    async def test_each_block_that_ran_has_its_output_its_error_and_its_seconds(self, session: KernelSession) -> None:
        result = await run(session, "print('a')", "1 + 1", "print('é…')\n1 / 0", "print('never')")
        assert [result.output[block.start : block.end] for block in result.blocks] == ["a\n", "2\n", "é…\n"]
        assert [block.error for block in result.blocks] == [None, None, "ZeroDivisionError: division by zero"]
        assert all(0 <= block.computed <= block.seconds <= result.seconds for block in result.blocks)
        assert 0 < result.computed <= result.elapsed

    async def test_waiting_for_an_answer_is_no_computing_of_the_block_or_of_the_cell(
        self, session: KernelSession
    ) -> None:
        await session.begin(Cell(1, ("x = 1", "llm_query('a question')", "y = 2")))
        call = await session.next_call()
        assert call is not None
        await asyncio.sleep(0.3)
        await session.deliver(call.id, Answered("an answer"))
        result = await session.result()
        _, waits, _ = result.blocks
        assert waits.seconds - waits.computed > 0.25 and result.elapsed - result.computed > 0.25

    async def test_variables_set_before_an_error_are_kept(self, session: KernelSession) -> None:
        await run(session, "kept = 'yes'\nraise ValueError('no')")
        assert (await run(session, "kept")).output == "'yes'\n"

    async def test_a_syntax_error_is_returned_as_a_result(self, session: KernelSession) -> None:
        result = await run(session, "def (:")
        assert result.error is not None and result.error.name == "SyntaxError"

    async def test_a_cell_waits_at_a_call_until_it_is_answered(self, session: KernelSession) -> None:
        await session.begin(Cell(1, ("print(llm_query('a question'))",)))
        assert await session.peek()
        call = await session.next_call()
        assert call is not None and (call.kind, call.prompt) == ("llm", "a question")
        assert session.waiting == 0 and session.busy
        await session.deliver(call.id, Answered("an answer"))
        assert not await session.peek()
        assert (await session.result()).output == "an answer\n"
        assert not session.busy

    async def test_a_batch_returns_its_answers_in_order_when_they_come_out_of_order(
        self, session: KernelSession
    ) -> None:
        await session.begin(Cell(1, ("print(llm_query_batched([f'q{i}' for i in range(20)]))",)))
        calls = [await session.next_call() for _ in range(20)]
        for call in reversed(calls):
            assert call is not None
            await session.deliver(call.id, Answered(call.prompt.upper()))
        assert (await session.result()).output == f"{[f'Q{i}' for i in range(20)]}\n"

    async def test_threads_and_coroutines_of_a_cell_can_make_calls(self, session: KernelSession) -> None:
        result = await run(
            session,
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(8) as pool:\n"
            "    from_threads = list(pool.map(llm_query, [f't{i}' for i in range(40)]))",
            "import asyncio\nfrom_tasks = await asyncio.gather(*[allm_query(f'a{i}') for i in range(40)])",
            "print(from_threads == [f'T{i}' for i in range(40)], from_tasks == [f'A{i}' for i in range(40)])",
        )
        assert result.output == "True True\n", result

    async def test_two_thousand_calls_of_one_cell_all_arrive(self, session: KernelSession) -> None:
        result = await run(session, "answers = llm_query_batched(['q' * 2000] * 2000)\nprint(len(answers))")
        assert result.output == "2000\n"

    async def test_a_failed_call_raises_in_the_code_and_is_falsy_in_a_batch(self, session: KernelSession) -> None:
        def answer(prompt: str) -> Outcome:
            return Failed("model", "it broke") if "bad" in prompt else Answered("fine")

        code = (
            "try:\n    llm_query('bad')\nexcept SubCallError as error:\n    print('raised', error)\n"
            "good, bad = llm_query_batched(['good', 'bad'])\nprint(good, bool(bad), bad.error)"
        )
        result = await run(session, code, answer=answer)
        assert result.output == "raised it broke\n[1 of 2 failed: it broke]\nfine False it broke\n"

    async def test_a_spent_budget_raises_with_the_answers_of_the_batch_so_far(self, session: KernelSession) -> None:
        def answer(prompt: str) -> Outcome:
            return Failed("budget", "spent") if prompt == "2" else Answered(prompt)

        code = (
            "try:\n    llm_query_batched(['1', '2', '3'])\nexcept BudgetExceeded as over:\n"
            "    print(over, over.partial[0], bool(over.partial[1]), over.partial[2])"
        )
        assert (await run(session, code, answer=answer)).output == "spent 1 False 3\n"

    async def test_a_rejected_call_raises_with_the_other_answers_of_the_batch(self, session: KernelSession) -> None:
        def answer(prompt: str) -> Outcome:
            return Failed("rejected", "not that one") if prompt == "2" else Answered(prompt)

        code = (
            "try:\n    llm_query_batched(['1', '2', '3'])\nexcept CallsRejected as no:\n"
            "    print(no, no.partial[0], bool(no.partial[1]), no.partial[2], isinstance(no, SubCallError))"
        )
        assert (await run(session, code, answer=answer)).output == "not that one 1 False 3 True\n"

    async def test_a_call_has_the_number_of_calls_left_in_its_batch(self, session: KernelSession) -> None:
        await session.begin(Cell(1, ("llm_query_batched(['a', 'b', 'c'])",)))
        rest: list[int] = []
        while call := await session.next_call():
            rest.append(call.rest)
            await session.deliver(call.id, Answered(""))
        assert rest == [3, 2, 1]
        await session.result()

    async def test_a_call_has_the_schema_the_model_and_the_cache_flag(self, session: KernelSession) -> None:
        await session.begin(Cell(1, ("rlm_query('q', schema={'type': 'object'}, model='provider:sub', cache=True)",)))
        call = await session.next_call()
        assert call is not None
        assert (call.kind, call.schema, call.model, call.cache) == ("rlm", {"type": "object"}, "provider:sub", True)
        await session.deliver(call.id, Answered({"n": 1}))
        assert (await session.result()).output == "{'n': 1}\n"

    async def test_a_pydantic_class_can_be_a_schema_and_the_answer_is_its_instance(
        self, session: KernelSession
    ) -> None:
        define = "from pydantic import BaseModel\nclass Size(BaseModel):\n    n: int"
        result = await run(session, define, "llm_query('q', schema=Size).n + 1", answer=lambda _: Answered({"n": 41}))
        assert result.output == "42\n"

    async def test_a_model_that_is_not_configured_is_refused(self, session: KernelSession) -> None:
        result = await run(session, "llm_query('q', model='evil:model')")
        assert result.error is not None and "provider:root" in result.error.message

    async def test_query_functions_raise_when_sub_calls_are_disabled(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread", sub_calls=False))
        result = await run(session, "llm_query('q')")
        assert result.error is not None and "max-depth 0" in result.error.message

    @pytest.mark.parametrize(
        ("code", "value"),
        [
            ("FINAL('text')", "text"),
            ("FINAL({'n': [1, 2.5, None]})", {"n": [1, 2.5, None]}),
            ("found = [1]\nFINAL(found)\nfound.append(2)", [1, 2]),
            ("found = 7\nFINAL_VAR('found')", 7),
            ("later = 1\nFINAL_VAR('later')\nlater = 2", 2),
            ("SUBMIT(5)", 5),
            ("SUBMIT(count=5, unit='m')", {"count": 5, "unit": "m"}),
            ("answer['content'] = 'done'\nanswer['ready'] = True", "done"),
            ("answer.update(content=3, ready=True)", 3),
            ("answer = {'content': 'mine', 'ready': True}", "mine"),
            ("FINAL({1, 2})", [1, 2]),
            ("FINAL(object)", "<class 'object'>"),
        ],
    )
    async def test_each_form_of_final_answer_ends_the_run_with_its_value(
        self, session: KernelSession, code: str, value: object
    ) -> None:
        result = await run(session, code)
        assert result.final is not None and result.final.value == value

    async def test_a_table_comes_out_with_every_row(self, session: KernelSession) -> None:
        code = "import pandas as pd\ndf = pd.DataFrame({'n': range(200), 's': [f'é{i}' for i in range(200)]})"
        result = await run(session, code, "FINAL_VAR('df')")
        assert result.final is not None
        found = result.final.table
        assert found is not None and found.head is not None
        assert found.columns == (Column("n", "integer"), Column("s", "text")) and found.head.rows == 200
        rows = [row for batch in found.batches() for row in json.loads(batch)]
        assert rows == [[number, f"é{number}"] for number in range(200)] and result.final.value is None

    async def test_an_answer_that_is_too_large_is_an_error_of_the_cell_that_keeps_the_variable(
        self, session: KernelSession
    ) -> None:
        result = await run(session, "found = [[0] * 10 for _ in range(100_000)]\nFINAL(found)")
        assert result.final is None and result.error is not None and result.error.name == "AnswerTooLarge"
        assert "answer_files/" in result.error.message
        assert (await run(session, "len(found)")).output == "100000\n"

    async def test_a_value_without_a_form_in_json_is_named(self, session: KernelSession) -> None:
        final = (await run(session, "FINAL({'a': [b'x']})")).final
        assert final is not None and final.value == {"a": ["b'x'"]} and "value['a'][0] is bytes" in str(final.problem)

    async def test_a_final_answer_counts_only_in_a_cell_without_an_error(self, session: KernelSession) -> None:
        assert (await run(session, "FINAL('wrong')\n1 / 0")).final is None
        assert (await run(session, "answer['content'] = 'x'; answer['ready'] = True\n1 / 0")).final is None
        assert (await run(session, "print('on')")).final is None

    async def test_final_var_of_a_missing_variable_is_an_error(self, session: KernelSession) -> None:
        result = await run(session, "FINAL_VAR('nowhere')")
        assert result.final is None and result.error is not None and "nowhere" in result.error.message

    async def test_show_vars_shows_name_type_and_size(self, session: KernelSession) -> None:
        output = (await run(session, "numbers = [1, 2, 3]\nprint(SHOW_VARS())")).output
        assert "numbers: list (3) = [1, 2, 3]" in output
        assert "llm_query" not in output

    async def test_history_grows_with_each_cell(self, session: KernelSession) -> None:
        for turn in (1, 2):
            await session.begin(
                Cell(turn, ("print(len(history), history[-1]['content'])",), ({"role": "user", "content": f"m{turn}"},))
            )
            assert not await session.peek()
            assert (await session.result()).output == f"{turn} m{turn}\n"

    async def test_overwritten_names_are_restored_for_the_next_cell(self, session: KernelSession) -> None:
        await run(session, "llm_query = None\nhistory = None")
        assert (await run(session, "print(llm_query('back'), history)")).output == "BACK []\n"

    async def test_context_is_a_str_or_documents(self, kernels: Kernels, tmp_path: Path) -> None:
        pack, index = tmp_path / "pack", tmp_path / "index"
        pack.write_text("grün1second")
        index.write_text(
            '{"name": "a", "start": 0, "end": 6, "chars": 5, "meta": {}}\n'
            '{"name": "b", "start": 6, "end": 12, "chars": 6, "meta": {"page": 1}}\n'
        )
        one = await kernels.start(KernelSpec("one", ContextFiles(pack)))
        assert (await run(one, "print(context, type(context).__name__)")).output == "grün1second TextDocument\n"
        many = await kernels.start(KernelSpec("many", ContextFiles(pack, index)))
        code = "a, second = context\nprint(len(context), second.name, second.text, len(a), a[:3], second.meta)"
        assert (await run(many, code)).output == "2 b second 5 grü {'page': 1}\n"

    async def test_lone_surrogates_and_nul_in_prompts_and_output_are_accepted(self, session: KernelSession) -> None:
        result = await run(session, "print(llm_query('a\\ud800b\\0c'))", answer=lambda _: Answered("fine"))
        assert (result.status, result.output) == ("ok", "fine\n")
        assert (await run(session, "print('x\\udfffy')")).status == "ok"

    async def test_a_cell_that_never_ends_is_interrupted_and_keeps_its_variables(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread", cell_timeout=0.2))
        result = await run(session, "kept = 1\nwhile True:\n    pass")
        assert result.status == "timeout"
        assert result.error is not None and "0.2 s" in result.error.message
        assert (await run(session, "kept")).output == "1\n"

    async def test_waiting_for_an_answer_does_not_count_towards_the_cell_timeout(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread", cell_timeout=0.2))
        await session.begin(Cell(1, ("print(llm_query('slow'))",)))
        call = await session.next_call()
        assert call is not None
        await asyncio.sleep(0.4)  # the promise is about time that passes
        await session.deliver(call.id, Answered("fine"))
        assert (await session.result()).status == "ok"

    async def test_a_call_from_a_thread_of_an_ended_cell_is_refused(self, session: KernelSession) -> None:
        code = (
            "import threading\nheard = []\n"
            "def ask_on():\n    try:\n        for _ in range(100_000):\n            llm_query('on')\n"
            "    except SubCallError as error:\n        heard.append(str(error))\n"
            "thread = threading.Thread(target=ask_on)\nthread.start()"
        )
        await run(session, code)
        await asyncio.sleep(0.1)  # its next call falls between two cells
        result = await run(session, "thread.join(5)\nprint(thread.is_alive(), heard)")
        assert result.output.startswith("False ['") and "cell" in result.output

    async def test_unknown_and_repeated_answers_are_ignored(self, session: KernelSession) -> None:
        await session.begin(Cell(1, ("print(llm_query('q'))",)))
        call = await session.next_call()
        assert call is not None
        await session.deliver(999, Answered("forged"))
        await session.deliver(call.id, Answered("first"))
        await session.deliver(call.id, Answered("second"))
        assert (await session.result()).output == "first\n"

    async def test_saved_variables_are_restored_in_another_kernel(
        self, kernels: Kernels, session: KernelSession
    ) -> None:
        code = (
            "import random\nrandom.random()\na = b = [1]\ncount = 0\ndef bump():\n    global count\n    count += 1\n"
            "class Node:\n    pass\nnode = Node()\nnode.here = a\ntext = 'x' * 3_000_000\nask = llm_query\nh = history"
        )
        store = Store()
        store.keep(await run(session, code))
        store.keep(await run(session, "a.append(2)\nbump()", turn=2))
        expected = (await run(session, "random.random()", turn=3)).output
        other = await kernels.start(KernelSpec("thread"))
        restored = await other.restore(list(store.groups.values()), store.batches())
        assert restored.lost == {}
        assert set(restored.names) >= {"a", "b", "bump", "Node", "node", "text", "count"}
        seen = (
            "a is b and node.here is a and a == [1, 2] and len(text) == 3_000_000 and ask is llm_query and h is history"
        )
        assert (await run(other, seen)).output == "True\n"
        assert (await run(other, "bump()\nprint(count, type(node) is Node)")).output == "2 True\n"
        if self.has_its_own_process:
            assert (await run(other, "random.random()")).output == expected

    async def test_compare_returns_the_variables_that_differ_from_the_saved_ones(
        self, kernels: Kernels, session: KernelSession
    ) -> None:
        store = Store()
        store.keep(await run(session, "a = [1]\nb = [a]\nc = 3"))
        other = await kernels.start(KernelSpec("thread"))
        await run(other, "a = [1]\nb = [[1]]\nc = 3")
        groups = list(store.groups.values())
        assert await session.compare(groups, store.batches()) == []
        assert await other.compare(groups, store.batches()) == ["b"]

    async def test_a_cell_saves_only_the_variables_that_it_changed(self, session: KernelSession) -> None:
        first = await run(session, "big = list(range(200_000))\nsmall = [1]")
        second = await run(session, "small.append(2)", turn=2)
        third = await run(session, "1 + 1", turn=3)
        assert first.snapshot and second.snapshot and third.snapshot
        assert sum(map(len, first.snapshot.chunks)) > 100_000
        assert [group["names"] for group in second.snapshot.groups] == [["small"]]
        assert sum(map(len, second.snapshot.chunks)) < 1_000
        assert (third.snapshot.groups, third.snapshot.gone, third.snapshot.chunks) == ([], [], [])

    async def test_a_variable_that_cannot_be_saved_is_reported_and_raises_when_it_is_used(
        self, kernels: Kernels, session: KernelSession
    ) -> None:
        store = Store()
        store.keep(await run(session, "gen = (i for i in [1])\nfine = 1"))
        assert "generator" in store.groups["gen"]["lost"]["gen"]
        other = await kernels.start(KernelSpec("thread"))
        restored = await other.restore(list(store.groups.values()), store.batches())
        assert set(restored.lost) == {"gen"} and "fine" in restored.names
        result = await run(other, "next(gen)")
        assert result.error is not None and "was lost when the REPL was restored" in result.error.message

    async def test_a_missing_piece_loses_its_variable_and_no_other(
        self, kernels: Kernels, session: KernelSession
    ) -> None:
        store = Store()
        store.keep(await run(session, "a = [1]\nb = [2]"))
        del store.chunks[store.groups["a"]["chunks"][0]]
        other = await kernels.start(KernelSpec("thread"))
        restored = await other.restore(list(store.groups.values()), store.batches())
        assert "missing" in restored.lost["a"]
        assert (await run(other, "b")).output == "[2]\n"

    async def test_a_closed_session_refuses_a_cell(self, session: KernelSession) -> None:
        await session.close()
        await session.close()
        with pytest.raises(KernelLost):
            await session.begin(Cell(1, ("1",)))
