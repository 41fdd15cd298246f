"""Misbehaving cells: each ends in a clear result or a lost kernel, and no caller waits for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Cell, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


@pytest.fixture
async def session(kernels: Kernels) -> KernelSession:
    return await kernels.start(KernelSpec("thread"))


async def test_a_regex_that_never_ends_is_interrupted_at_the_cell_timeout(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread", cell_timeout=0.2))
    result = await run(session, "kept = 1\nimport re\nre.match('(a+)+$', 'a' * 40 + 'b')")
    assert result.status == "timeout"
    assert (await run(session, "kept")).output == "1\n"


async def test_a_cell_that_cannot_be_interrupted_ends_the_kernel(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.kernel.cell.INTERRUPT_GRACE", 0.2)
    session = await kernels.start(KernelSpec("thread", cell_timeout=0.2))
    await session.begin(Cell(1, ("sum(range(1 << 62))",)))
    with pytest.raises(KernelLost, match="computed for more than"):
        await asyncio.wait_for(session.result(), 30)


@pytest.mark.parametrize(("ending", "why"), [("os._exit(3)", "status 3"), ("os.abort()", "signal")])
async def test_a_kernel_that_ends_while_its_variables_are_saved_is_reported(
    session: KernelSession, ending: str, why: str
) -> None:
    # Classes of the REPL's own are saved without running their code; those of modules are not.
    code = (
        f"import sys, types\nmodule = types.ModuleType('elsewhere')\nsys.modules['elsewhere'] = module\n"
        f"exec('import os\\nclass Trap:\\n    def __reduce__(self):\\n        {ending}', module.__dict__)\n"
        "trap = module.Trap()"
    )
    await session.begin(Cell(1, (code,)))
    with pytest.raises(KernelLost, match=why):
        await asyncio.wait_for(session.result(), 30)


async def test_a_million_lines_are_output(session: KernelSession) -> None:
    result = await run(session, "for number in range(1_000_000):\n    print(number)")
    assert result.output.startswith("0\n1\n") and result.output.endswith("999999\n")
    assert result.output.count("\n") == 1_000_000


async def test_nul_bytes_are_kept_in_output_and_lone_surrogates_are_replaced(session: KernelSession) -> None:
    result = await run(session, "print('a\\0b', 'c\\ud800d')\nname = 'e\\0\\udfff'\nFINAL(name)")
    assert result.output == "a\0b c\ufffdd\n" and result.final is not None
    assert result.final.value == "e\0\ufffd"


async def test_the_output_of_a_gigabyte_of_text_is_cut(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread"))
    result = await asyncio.wait_for(run(session, "big = 'x' * (1 << 30)\nprint(big)\ndel big"), 60)
    assert result.status == "ok" and len(result.output) < 20_000_000
    assert "characters of output are not kept" in result.output


async def test_an_infinite_recursion_is_an_error(session: KernelSession) -> None:
    result = await run(session, "kept = 1\ndef deeper():\n    return deeper()\ndeeper()")
    assert result.error is not None and result.error.name == "RecursionError"
    deep = "deep = []\nfor _ in range(100_000):\n    deep = [deep]\nFINAL(deep)"
    assert (await asyncio.wait_for(run(session, deep), 30)).status in ("ok", "error")
    assert (await run(session, "kept")).output == "1\n"


@pytest.mark.parametrize("number", ["10 ** 5000", "-(10 ** 5000)", "[10 ** 5000]", "2 ** 70"])
async def test_a_number_of_any_length_is_a_final_answer_or_an_error(session: KernelSession, number: str) -> None:
    result = await asyncio.wait_for(run(session, f"FINAL({number})"), 20)
    assert (result.final is None) == (result.error is not None)


async def test_threads_that_keep_running_do_not_prevent_cells_from_ending(session: KernelSession) -> None:
    code = (
        "import threading, time\ndef spin():\n    while True:\n        time.sleep(0.01)\n        print('still here')\n"
        "for daemon in (True, False):\n    threading.Thread(target=spin, daemon=daemon).start()"
    )
    assert (await asyncio.wait_for(run(session, code), 20)).status == "ok"
    assert (await asyncio.wait_for(run(session, "1 + 1"), 20)).output.replace("still here\n", "") == "2\n"
    await asyncio.wait_for(session.close(), 10)


async def test_only_the_text_of_displayed_objects_is_kept(session: KernelSession) -> None:
    code = (
        "from IPython.display import HTML, display\nclass Rich:\n"
        "    def __repr__(self):\n        return 'as text'\n"
        "    def _repr_html_(self):\n        return '<script>alert(1)</script>'\n"
        "    def _repr_png_(self):\n        return b'\\x89PNG' * 1000\n"
        "    def _repr_mimebundle_(self, **_):\n"
        "        return {'text/plain': 'a bundle', 'application/javascript': 'alert(2)', 'text/markdown': '# x'}\n"
        "display(Rich())\ndisplay(HTML('<b>bold</b>'))\ndisplay({'image/png': 'iVBO'}, raw=True)\nRich()"
    )
    result = await run(session, code)
    assert result.status == "ok"
    assert result.output == "a bundle\n<IPython.core.display.HTML object>\n\na bundle\n"


async def test_terminal_escapes_are_kept_unchanged(session: KernelSession) -> None:
    result = await run(session, "print('\\x1b[2J\\x1b]0;owned\\x07')\nraise ValueError('\\x1b[31m')")
    assert result.output == "\x1b[2J\x1b]0;owned\x07\n"
    assert result.error is not None and result.error.message == "\x1b[31m"
