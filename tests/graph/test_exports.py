"""Variables of any step, handed over by a kernel of their own: nothing runs again, and nothing is written."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.saved_answers import StoredFile
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Cell, KernelSession, KernelSpec
from durable_rlm.state.answer_tables import Column
from durable_rlm.state.errors import KernelLost, StoredDataDamaged, UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels, MemorySession
from tests.scripts import repl, write_script

CELLS = [
    "limit = 3\nrows = [{'a': 1}, {'a': None, 'b': ['ü']}]\nlines = (n for n in 'abc')\n_hidden = 'h'",
    "picked = llm_query_batched(['one', 'two'])\nlimit = 4",
    "class Odd:\n    def model_dump(self):\n        return llm_query('more')\nodd = Odd()\nFINAL({'limit': limit})",
]
FIRST_CELL_ENDED, IN_THE_SECOND = 5, 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the answered run `main` over a text, and `edited`, a fork in which a variable was set."""
    folder = tmp_path_factory.mktemp("home")
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])

    async def fill() -> None:
        async with Runner.open(folder, kernels=MemoryKernels()) as runner:
            run = await runner.run("What?", "the input", thread="main", model=model)
            assert run.status == "answered", run.error
            await runner.fork("main", FIRST_CELL_ENDED, into="edited", set={"limit": [9]})

    asyncio.run(fill())
    return folder


@pytest.fixture
async def runner(home: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        yield runner


async def value(runner: Runner, thread: str, name: str, step: int | None = None) -> Any:
    return (await runner.exports.variable(thread, name, step)).value


async def test_a_variable_is_as_it_was_after_the_step(runner: Runner) -> None:
    assert await value(runner, "main", "limit") == 4
    assert await value(runner, "main", "limit", FIRST_CELL_ENDED) == 3
    assert await value(runner, "main", "rows", FIRST_CELL_ENDED) == [{"a": 1}, {"a": None, "b": ["ü"]}]
    assert await value(runner, "main", "_hidden") == "h"


async def test_in_the_middle_of_a_cell_it_is_as_before_the_cell(runner: Runner) -> None:
    steps = await runner.queries.steps("main")
    assert steps[IN_THE_SECOND - 1]["kind"] == "sub_call"
    assert await value(runner, "main", "limit", IN_THE_SECOND) == 3


async def test_the_input_and_a_value_that_a_person_set_are_handed_over(runner: Runner) -> None:
    assert await value(runner, "main", "context") == await value(runner, "main", "context", 1) == "the input"
    assert await value(runner, "edited", "limit") == [9]
    assert await value(runner, "edited", "rows") == [{"a": 1}, {"a": None, "b": ["ü"]}]


async def test_an_unknown_variable_names_those_that_are_near(runner: Runner) -> None:
    with pytest.raises(UsageError, match=r"'limits'.*There is limit\."):
        await value(runner, "main", "limits")
    with pytest.raises(UsageError, match="There is none yet"):
        await value(runner, "main", "limit", 1)
    for name in ("x'); import os; ('", "FINAL", "a.b", ""):
        with pytest.raises(UsageError, match="There is no variable"):
            await value(runner, "main", name)
    with pytest.raises(UnknownThread):
        await value(runner, "nobody", "limit")
    with pytest.raises(UsageError, match="no step 99"):
        await value(runner, "main", "limit", 99)


async def test_a_variable_that_was_not_saved_says_why(runner: Runner) -> None:
    with pytest.raises(UsageError, match=r"lines could not be saved: .*generator"):
        await value(runner, "main", "lines")


async def test_code_of_a_variable_may_ask_nothing(runner: Runner) -> None:
    before = (await runner.read("main")).usage["model_calls"]
    with pytest.raises(UsageError, match="odd cannot be handed over"):
        await value(runner, "main", "odd")
    assert (await runner.read("main")).usage["model_calls"] == before


async def test_nothing_of_the_home_changes(runner: Runner, home: Path) -> None:
    def content() -> dict[str, str]:
        files = [path for path in home.rglob("*") if path.is_file() and "checkpoints" not in path.name]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before, rows = content(), await runner.stores.database.read("SELECT total_changes()", ())
    await value(runner, "main", "limit")
    assert content() == before and await runner.stores.database.read("SELECT total_changes()", ()) == rows


async def test_it_works_while_another_process_runs_the_thread(runner: Runner, home: Path) -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as other:
        await other.stores.leases.acquire("main")
        assert await value(runner, "main", "limit") == 4
        await other.stores.leases.release("main")


async def test_a_kernel_that_dies_or_hangs_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(MemorySession):
        async def begin(self, cell: Cell) -> None:
            self.kill("it was a test")

        async def result(self) -> CellResult:
            raise KernelLost("The kernel died: it was a test.")

    class Kernels(MemoryKernels):
        async def start(self, spec: KernelSpec) -> KernelSession:
            return Dying(spec, asyncio.get_running_loop())

    async with Runner.open(home, kernels=Kernels()) as runner:
        with pytest.raises(KernelLost):
            await value(runner, "main", "limit")


async def test_a_table_is_read_after_its_kernel_has_ended(home: Path) -> None:
    columns = (Column("n", "integer"), Column("day", "date"))
    posted = SimpleNamespace(columns=columns, rows=2, batches=lambda: iter([b"[[1, null]]", b'[[2, "2024-02-29"]]']))
    final: Any = SimpleNamespace(value=None, text_of=None, table=posted, problem="b'x' has no form in JSON")

    class Handing(MemorySession):
        async def result(self) -> CellResult:
            await super().result()
            return CellResult("ok", final=final)

    class Kernels(MemoryKernels):
        async def start(self, spec: KernelSpec) -> KernelSession:
            return Handing(spec, asyncio.get_running_loop())

    async with Runner.open(home, kernels=Kernels()) as runner:
        found = await runner.exports.variable("main", "rows")
    assert found.table is not None and found.problem == final.problem
    assert (found.table.columns, found.table.rows_count) == (columns, 2)
    assert list(found.table.rows()) == list(found.table.rows()) == [[1, None], [2, "2024-02-29"]]


async def test_the_files_of_an_answer_are_checked_as_they_are_read(runner: Runner) -> None:
    stores = runner.stores
    body = b"x" * 10
    name = await asyncio.to_thread(stores.blobs.put, body)
    file = StoredFile("a.bin", len(body), name, stores)
    assert b"".join(file.pieces()) == body
    stores.blobs.path(name).chmod(0o600)
    stores.blobs.path(name).write_bytes(b"y" * 10)
    with pytest.raises(StoredDataDamaged):
        b"".join(file.pieces())
    stores.blobs.path(name).unlink()
    assert await runner.exports.files("main") == [] and await runner.exports.table("main") is None
