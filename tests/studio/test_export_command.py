"""`rlm export`: a variable of a step in a file, by a kernel of its own."""

import asyncio
import json
from pathlib import Path

import openpyxl
import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.studio.conftest import Rlm

CELLS = ["limit = 3\nrows = [{'name': '=x', 'n': n} for n in range(200)]", "limit = 4\nFINAL('done')"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in CELLS])

    async def fill() -> None:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            assert (await runner.run("What?", thread="main", model=model)).status == "answered"

    asyncio.run(fill())
    return tmp_path / "home"


@pytest.mark.processes
def test_a_variable_comes_out_whole_in_a_file_and_a_wrong_name_costs_nothing(rlm: Rlm, home: Path) -> None:
    words = ("export", "main", "--home", str(home), "--var")
    done = rlm(*words, "rows", "-o", "t.xlsx", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "thread_id": "main", "step": None, "name": "rows", "columns": None, "rows": None, "text_of": None,
        "path": "t.xlsx",
    }  # fmt: skip
    sheet = openpyxl.load_workbook("t.xlsx").worksheets[0]
    assert list(sheet.values) == [("name", "n"), *(("=x", n) for n in range(200))]
    assert "rows is in t.xlsx." in done.err
    wrong = rlm(*words, "row", "--json")
    assert wrong.code == 2 and "There is rows" in json.loads(wrong.out)["error"]["hint"]


def test_a_value_goes_to_stdout_without_a_file(
    rlm: Rlm, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def in_memory(*folders: object, hidden: object) -> MemoryKernels:
        del folders, hidden
        return MemoryKernels()

    monkeypatch.setattr("durable_rlm.graph.wiring.JupyterKernels", in_memory)
    words = ("export", "main", "--home", str(home), "--var", "limit")
    assert (rlm(*words).out, rlm(*words, "--step", "5").out) == ("4\n", "3\n")
    assert json.loads(rlm(*words, "--json").out)["value"] == 4
    done = rlm(*words, "-o", "limit.csv")
    assert (done.code, done.out) == (0, "") and "limit is no table, so it is in limit.json" in done.err
    assert (tmp_path / "limit.json").read_text() == "4\n"


def test_a_place_that_cannot_be_written_is_refused_before_a_kernel_starts(rlm: Rlm, home: Path) -> None:
    done = rlm("export", "main", "--home", str(home), "--var", "rows", "-o", "nowhere/t.csv")
    assert done.code == 2 and "no folder" in done.err
