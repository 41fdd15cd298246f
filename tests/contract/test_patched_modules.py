"""Modules that the kernel itself uses, patched by a cell, neither stop the kernel nor mislead it (letter h of P5)."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from tests.contract.session_contract import Store, run


def _patches() -> dict[str, str]:
    """Return the names and cells of `patched_modules.txt`."""
    _, *sections = (Path(__file__).parent / "patched_modules.txt").read_text().split("\n## ")
    return {section.split("\n", 1)[0]: section.split("\n", 1)[1].strip() for section in sections}


PATCHES = _patches()


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES.keys())
async def test_after_a_patch_cells_run_and_their_variables_are_saved(kernels: Kernels, patch: str) -> None:
    session = await kernels.start(KernelSpec("thread", cell_timeout=8))
    store = Store()
    store.keep(await asyncio.wait_for(run(session, "a = [1]\nb = a"), 30))
    # A call in the same cell: what answers it runs in another thread, beside the patch.
    called = await asyncio.wait_for(run(session, f"{patch}\nanswer_ = llm_query('still there?')"), 30)
    store.keep(called)
    store.keep(await asyncio.wait_for(run(session, "a.append(2)"), 30))
    ended = await asyncio.wait_for(run(session, "FINAL(a)"), 30)
    assert ended.final is not None and ended.final.value == [1, 2], ended.error
    assert ended.seconds >= 0
    other = await kernels.start(KernelSpec("thread"))
    restored = await other.restore(list(store.groups.values()), store.batches())
    assert {"a", "b"} <= set(restored.names)
    assert (await run(other, "a.append(3)\nprint(b)")).output == "[1, 2, 3]\n"
    await session.close()
    await other.close()


async def test_cells_see_what_they_have_patched_also_in_a_restored_kernel(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread"))
    store = Store()
    store.keep(await run(session, "import json, time\nkept = json.dumps\njson.dumps = lambda x: 'mine ' + kept(x)"))
    store.keep(
        await run(session, "for name in ('time', 'sleep'):\n    setattr(time, name, lambda *_: 7)\ndel time.ctime")
    )
    seen = "print(json.dumps([1]), time.time(), hasattr(time, 'ctime'), kept([2]))"
    assert (await run(session, seen)).output == "mine [1] 7 False [2]\n"
    other = await kernels.start(KernelSpec("thread"))
    restored = await other.restore(list(store.groups.values()), store.batches())
    assert not restored.lost
    assert (await run(other, seen)).output == "mine [1] 7 False [2]\n"
    # A patch that is taken back is taken back.
    assert (await run(other, "json.dumps = kept\njson.dumps([3])")).output == "'[3]'\n"
    assert (await run(other, "json.dumps([3])")).output == "'[3]'\n"


async def test_a_cell_that_runs_another_one_and_fails_in_it_keeps_its_patches(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread"))
    inner = "import json\njson.dumps = None\nget_ipython().run_cell('1/0')\nprint(json.dumps)"
    assert (await run(session, inner)).output.endswith("None\n")
    assert (await run(session, "print(json.dumps)")).output == "None\n"
