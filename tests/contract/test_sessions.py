"""Sessions of both kinds of kernels: the contract, and the promises of real kernels alone."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import psutil
import pytest

from durable_rlm.kernel.jupyter import JupyterKernels, JupyterSession
from durable_rlm.kernel.session import Cell, Kernels, KernelSpec
from durable_rlm.state.errors import KernelLost, KernelStartFailed
from tests import rendezvous
from tests.contract.citation_contract import CitationContract
from tests.contract.context_contract import ContextContract
from tests.contract.display_contract import DisplayContract
from tests.contract.in_memory_kernel import MemoryKernels, MemorySession
from tests.contract.map_query_contract import MapQueryContract
from tests.contract.query_contract import SWALLOW, QueryContract, refuse
from tests.contract.search_contract import SearchContract
from tests.contract.session_contract import SessionContract, Store, run


class TestMemory(
    SessionContract,
    ContextContract,
    DisplayContract,
    QueryContract,
    SearchContract,
    CitationContract,
    MapQueryContract,
):
    has_its_own_process = False

    @pytest.fixture
    async def kernels(self) -> AsyncGenerator[Kernels]:
        kernels = MemoryKernels()
        yield kernels
        await kernels.close()

    async def test_the_cell_of_a_killed_session_takes_no_output_from_another_one(self, kernels: Kernels) -> None:
        rendezvous.forget()
        killed, other = await kernels.start(KernelSpec("killed")), await kernels.start(KernelSpec("other"))
        there = "from tests import rendezvous\nrendezvous"
        await killed.begin(Cell(1, (f"{there}.pass_('killed runs')\n{there}.wait_at('other runs')",)))
        await asyncio.to_thread(rendezvous.wait_at, "killed runs")
        [thread] = [one for one in threading.enumerate() if one.name == "cell of killed"]
        cast(MemorySession, killed).kill("the test said so")
        after = f"{there}.pass_('other runs')\n{there}.wait_at('killed ended')\nprint('kept')"
        await other.begin(Cell(1, (after,)))
        await asyncio.to_thread(thread.join)
        rendezvous.pass_("killed ended")
        assert (await other.result()).output == "kept\n"


class TestJupyter(SessionContract, ContextContract, DisplayContract, QueryContract, SearchContract, CitationContract):
    @pytest.fixture
    async def kernels(self, tmp_path: Path) -> AsyncGenerator[Kernels]:
        kernels = JupyterKernels([tmp_path])
        yield kernels
        await kernels.close()

    async def test_a_kernel_that_aborts_is_reported_as_lost(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        await session.begin(Cell(1, ("import os\nos.abort()",)))
        with pytest.raises(KernelLost, match="signal"):
            await session.peek()

    async def test_cells_in_a_shell_that_code_has_broken_fail_at_once(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        assert (await run(session, "get_ipython().kernel.do_execute = None")).status == "ok"
        result = await run(session, "1 + 1")
        assert result.error is not None and "in the shell" in result.error.traceback

    async def test_a_kernel_that_calls_os_exit_is_reported_as_lost(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        await session.begin(Cell(1, ("import os\nos._exit(3)",)))
        with pytest.raises(KernelLost, match="status 3"):
            await session.result()

    async def test_a_cell_that_swallows_the_interrupt_is_killed(
        self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("durable_rlm.kernel.cell.INTERRUPT_GRACE", 0.2)
        session = await kernels.start(KernelSpec("thread", cell_timeout=0.2))
        await session.begin(
            Cell(
                1,
                ("import time\nwhile True:\n    try:\n        time.sleep(9)\n    except BaseException:\n        pass",),
            )
        )
        with pytest.raises(KernelLost, match="computed for more than"):
            await session.result()

    async def test_a_cell_that_swallows_refusals_and_the_interrupt_is_killed(
        self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("durable_rlm.kernel.cell.INTERRUPT_GRACE", 0.2)
        session = await kernels.start(KernelSpec("thread"))
        swallow_all = f"while True:{SWALLOW}".replace("except Exception", "except BaseException")
        with pytest.raises(KernelLost, match="after 300 refusals and ignored the interrupt"):
            await asyncio.wait_for(run(session, swallow_all, answer=refuse), 60)

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("asyncio.run(main())", "cannot be called from a running event loop"),
            ("asyncio.Runner().run(main())", "cannot be called from a running event loop"),
            ("asyncio.get_event_loop().run_until_complete(main())", "event loop is already running"),
            ("asyncio.new_event_loop().run_until_complete(main())", "while another loop is running"),
        ],
    )
    async def test_a_second_event_loop_is_an_error_with_the_message_that_notes_are_made_for(
        self, kernels: Kernels, code: str, message: str
    ) -> None:
        session = await kernels.start(KernelSpec("thread"))
        result = await run(session, f"import asyncio\nasync def main():\n    pass\n{code}")
        assert result.error is not None and message in result.error.message

    async def test_sys_exit_and_exit_end_the_cell_and_not_the_kernel(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        assert (await run(session, "import sys\nkept = 1\nsys.exit(1)")).status == "error"
        assert (await run(session, "exit()")).status == "error"
        assert (await run(session, "kept")).output == "1\n"

    async def test_no_secret_of_the_environment_reaches_a_kernel(
        self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
        fresh = JupyterKernels()
        try:
            session = await fresh.start(KernelSpec("thread"))
            result = await run(session, "import os\nprint(os.environ, open('/proc/self/environ').read())")
            assert "sk-planted" not in result.output and result.status == "ok"
        finally:
            await fresh.close()

    async def test_a_gigantic_output_is_cut_inside_the_kernel(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        result = await run(session, "print('first')\nfor _ in range(40):\n    print('x' * 1_000_000)\nprint('last')")
        assert len(result.output) < 20_000_000
        assert result.output.startswith("first\n") and result.output.endswith("last\n")
        assert "characters of output are not kept" in result.output

    async def test_the_output_of_a_cells_child_processes_is_included(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        assert "from a child" in (await run(session, "!echo from a child")).output

    async def test_an_allocation_beyond_the_memory_limit_is_an_error(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread", memory=1 << 30))
        result = await run(session, "big = bytearray(3 << 30)")
        assert result.error is not None and result.error.name == "MemoryError"

    async def test_a_kernel_that_cannot_start_is_reported_with_the_reason(
        self, kernels: Kernels, tmp_path: object
    ) -> None:
        from durable_rlm.kernel.session import ContextFiles

        with pytest.raises(KernelStartFailed, match="No such file"):
            await kernels.start(KernelSpec("thread", ContextFiles(tmp_path / "missing")))  # type: ignore[operator]

    async def test_a_cancelled_start_leaves_no_kernel_and_does_not_prevent_another(self, kernels: Kernels) -> None:
        await kernels.warm_up()
        assert isinstance(kernels, JupyterKernels)
        [host] = [one for one in psutil.Process().children() if "durable_rlm.kernel.host" in one.cmdline()]
        given_up = asyncio.create_task(kernels.start(KernelSpec("given up")))
        while not host.children():
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        session = await asyncio.wait_for(kernels.start(KernelSpec("thread")), 60)
        assert (await run(session, "1 + 1")).output == "2\n"
        assert len(host.children()) == 1

    async def test_values_that_code_binds_to_names_of_the_shell_are_restored(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        store = Store()
        store.keep(await run(session, "7"))
        store.keep(await run(session, "!true\n_ + 1", turn=2))
        kept = {name for name in store.groups if "." not in name}
        assert kept <= {"answer", "context"}, "what the shell binds itself is saved"
        code = "RULES = []\ndef rule(f): RULES.append(f); return f\n@rule\ndef _(x): return x + 1"
        store.keep(await run(session, f"{code}\nIn, _i, _3 = [1], 2, 3", turn=3))
        store.keep(await run(session, "_exit_code = 'mine'\nIn.append(_(1))", turn=4))
        other = await kernels.start(KernelSpec("thread"))
        assert (await other.restore(list(store.groups.values()), store.batches())).lost == {}
        assert (await run(other, "RULES[0] is _, In, _i, _3, _exit_code, Out")).output == (
            "(True, [1, 2], 2, 3, 'mine', {})\n"
        )

    async def test_a_restored_function_keeps_its_source(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        store = Store()
        store.keep(await run(session, "def fail():\n    text = 'a\u2028b'\n    raise ValueError(len(text))"))
        other = await kernels.start(KernelSpec("thread"))
        await other.restore(list(store.groups.values()), store.batches())
        shown = await run(other, "import inspect\nprint(inspect.getsource(fail))\nfail()")
        assert "text = 'a\u2028b'" in shown.output
        assert shown.error is not None and "raise ValueError(len(text))" in shown.error.traceback

    async def test_code_of_another_python_is_compiled_again(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread"))
        store = Store()
        store.keep(await run(session, "class P:\n    def go(self): return [x for x in (1, self.n)]\np = P()\np.n = 2"))
        store.keep(await run(session, "exec('def made(): return 1')", turn=2))
        for group in store.groups.values():
            form = json.loads(group["form"])
            if "magic" in form:
                group["form"] = json.dumps(form | {"magic": "00000000", "python": "3.0.0"})
        other = await kernels.start(KernelSpec("thread"))
        restored = await other.restore(list(store.groups.values()), store.batches())
        assert set(restored.lost) == {"made"} and "Python 3.0.0 compiled it" in restored.lost["made"]
        assert any("3.0.0" in note for note in restored.notes)
        assert (await run(other, "p.go(), type(p) is P")).output == "([1, 2], True)\n"
        called = await run(other, "made()")
        assert called.error is not None and called.error.name == "LostVariable"

    async def test_a_cancelled_close_does_not_block_another(self, kernels: Kernels) -> None:
        first, second = [await kernels.start(KernelSpec(name)) for name in ("first", "second")]
        closing = asyncio.create_task(first.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await asyncio.wait_for(second.close(), 30)

    async def test_a_flood_of_pieces_ends_the_kernel_and_not_the_host(self, kernels: Kernels) -> None:
        session = await kernels.start(KernelSpec("thread", memory=3 << 30))
        assert isinstance(session, JupyterSession)
        await session.begin(Cell(1, ("import time\ntime.sleep(60)",)))
        piece = b"x" * (64 << 20)
        with pytest.raises(KernelLost, match="more of its variables"):
            for _ in range(64):
                session.on_event({"event": "chunks", "sizes": [len(piece)], "bytes": piece})
            await session.result()
