"""Restoring the REPL of a run whose kernel has ended: variables are loaded, rebuilt, or reported as lost."""

import asyncio
import builtins
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.state.run_state import RestoreRecord
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

Open = Callable[[], AbstractAsyncContextManager[Runner]]


class Crash(BaseException):
    """The death of the process, as the run sees it."""


class Point:
    """A failpoint that raises Crash when the one of a name is passed for the n-th time."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}

    def __call__(self, name: str) -> None:
        if name in self.left:
            self.left[name] -= 1
            if not self.left[name]:
                del self.left[name]
                raise Crash(name)


@pytest.fixture
def point() -> Point:
    return Point()


@pytest.fixture
def opened(tmp_path: Path, point: Point) -> Open:
    @asynccontextmanager
    async def open_runner() -> AsyncGenerator[Runner]:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=point) as runner:
            yield runner

    return open_runner


def scripted(folder: Path, *cells: str, sub: str = "return prompt.upper()") -> str:
    """Write a model that sends these cells, and logs the prompts of sub-calls. Return its name."""
    record = f"with open({str(folder / 'asked')!r}, 'a') as file: file.write(prompt + '\\n')"
    return write_script(folder / "m.py", [repl(cell) for cell in cells], sub=f"{record}\n        {sub}")


def asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


async def crashed_and_resumed(
    opened: Open, point: Point, model: str, name: str = "plan-end", count: int = 1, **resume: Any
) -> Run:
    """Run with a crash at the `count`-th failpoint of that name, resume, and return the run."""
    point.left[name] = count
    async with opened() as runner:
        with pytest.raises(Crash):
            await runner.run("What?", "alpha beta", model=model, thread="t")
    async with opened() as runner:
        return await runner.resume("t", **resume)


def report(run: Run) -> RestoreRecord:
    assert run.restore is not None
    return run.restore


async def test_saved_variables_are_restored_without_rerunning_cells(opened: Open, point: Point, tmp_path: Path) -> None:
    ran = f"with open({str(tmp_path / 'ran')!r}, 'a') as file: file.write('x')\ndel file"
    model = scripted(tmp_path, f"{ran}\na = b = [llm_query('q')]", "a.append(2)", "FINAL([a is b, a])")
    run = await crashed_and_resumed(opened, point, model, count=3)
    assert run.answer == [True, ["Q", 2]]
    assert (report(run)["restored"], report(run)["cells"]) == (["a", "b", "context"], 0)
    assert not (report(run)["lost"] or report(run)["rebuilt"] or report(run)["notes"] or report(run)["diverged"])
    assert (tmp_path / "ran").read_text() == "x"
    assert asked(tmp_path) == ["q"]


async def test_a_run_that_was_not_interrupted_restores_nothing(opened: Open, tmp_path: Path) -> None:
    async with opened() as runner:
        run = await runner.run("What?", model=scripted(tmp_path, "a = 1", "FINAL(a)"))
    assert run.restore is None


async def test_a_variable_that_cannot_be_saved_is_rebuilt_by_rerunning_cells(
    opened: Open, point: Point, tmp_path: Path
) -> None:
    model = scripted(
        tmp_path,
        "words = context.split()",
        "gen = (w + llm_query(w) for w in words)\nfirst = next(gen)",
        "FINAL([first, next(gen)])",
    )
    run = await crashed_and_resumed(opened, point, model, count=3)
    assert run.answer == ["alphaALPHA", "betaBETA"]
    assert (report(run)["rebuilt"], report(run)["lost"], report(run)["cells"]) == (["gen"], {}, 1)
    assert asked(tmp_path) == ["alpha", "beta"], "the recorded answer was reused"


async def test_a_variable_that_cannot_be_rebuilt_is_lost_and_the_notes_say_so(
    opened: Open, point: Point, tmp_path: Path
) -> None:
    # Rerun, the cell gives another value, which must not replace the saved one.
    model = scripted(
        tmp_path,
        "import time\nnow = time.time_ns()\ngen = (i for i in [now])",
        "try:\n    next(gen)\nexcept RuntimeError as e:\n    seen = str(e)",
        "FINAL([seen, history[-2]['content']])",
    )
    run = await crashed_and_resumed(opened, point, model, count=2)
    seen, _ = run.answer
    assert "was lost when the REPL was restored" in seen
    assert "generator" in report(run)["lost"]["gen"]
    assert "gave other values" in report(run)["notes"][0]
    async with opened() as runner:
        shown = await runner.queries.show("t", runner.graph)
    assert "Not as they were: gen" in "\n".join(shown["turns"][1]["notes"])


async def test_an_interrupted_cell_resumes_with_its_recorded_answers(
    opened: Open, point: Point, tmp_path: Path
) -> None:
    model = scripted(tmp_path, "first = llm_query('one')\nsecond = llm_query(first)\nFINAL(context and second + first)")
    run = await crashed_and_resumed(opened, point, model, "journal-after", 2)
    assert run.answer == "ONEONE"
    assert asked(tmp_path) == ["one", "ONE"]


async def test_a_replayed_cell_with_another_call_is_reported_as_diverged(
    opened: Open, point: Point, tmp_path: Path
) -> None:
    # The prompt depends on a file that changes.
    cell = (
        f"import os\nseen = os.path.exists({str(tmp_path / 'flag')!r})\nopen({str(tmp_path / 'flag')!r}, 'w').close()\n"
    )
    model = scripted(tmp_path, cell + "a = llm_query(f'saw {seen}')\nFINAL(context and a + llm_query('then'))")
    run = await crashed_and_resumed(opened, point, model, "journal-after", 3)
    assert run.answer == "SAW TRUETHEN"
    [diverged] = report(run)["diverged"]
    assert diverged == {"turn": 1, "missing": ["saw False"], "new": ["saw True"]}
    assert asked(tmp_path) == ["saw False", "then", "saw True"], "the unchanged call is not paid again"


async def test_a_strict_resume_fails_at_a_divergence_and_saves_nothing_of_it(
    opened: Open, point: Point, tmp_path: Path
) -> None:
    cell = (
        f"import os\nseen = os.path.exists({str(tmp_path / 'flag')!r})\nopen({str(tmp_path / 'flag')!r}, 'w').close()\n"
    )
    model = scripted(tmp_path, cell + "a = llm_query(f'saw {seen}')\nFINAL(context and a)")
    run = await crashed_and_resumed(opened, point, model, "journal-after", 2, strict=True)
    assert (run.status, run.exit_code) == ("failed", 1)
    assert run.error is not None and run.error["type"] == "ReplayDiverged" and "--strict" in run.error["hint"]
    async with opened() as runner:
        assert (await runner.resume("t")).answer == "SAW TRUE"


async def test_a_damaged_snapshot_falls_back_to_an_earlier_one(opened: Open, point: Point, tmp_path: Path) -> None:
    model = scripted(tmp_path, "a = [llm_query('q')]", "a.append(2)", "a.append(3)", "FINAL(a)")
    point.left["plan-end"] = 4
    async with opened() as runner:
        with pytest.raises(Crash):
            await runner.run("What?", model=model, thread="t")
    async with opened() as runner:
        state = (await runner.graph.aget_state({"configurable": {"thread_id": "t"}})).values
        last = [turn["snapshot"] for turn in state["turns"] if "snapshot" in turn][-1]
        await damage(runner, "manifests", last)
        run = await runner.resume("t")
    assert run.answer == ["Q", 2, 3]
    assert report(run)["cells"] == 1 and "changed on disk" in report(run)["notes"][0]
    assert asked(tmp_path) == ["q"]


async def test_a_damaged_piece_of_a_variable_is_rebuilt(opened: Open, point: Point, tmp_path: Path) -> None:
    model = scripted(tmp_path, "a = [llm_query('q')]\nb = 1", "FINAL(a)")
    point.left["plan-end"] = 2
    async with opened() as runner:
        with pytest.raises(Crash):
            await runner.run("What?", model=model, thread="t")
    async with opened() as runner:
        state = (await runner.graph.aget_state({"configurable": {"thread_id": "t"}})).values
        [manifest] = [turn["snapshot"] for turn in state["turns"] if "snapshot" in turn]
        groups = await runner.stores.snapshots.groups(manifest)
        await damage(runner, "chunks", groups["a"]["chunks"][0])
        run = await runner.resume("t")
    assert run.answer == ["Q"]
    assert report(run)["rebuilt"] == ["a"] and report(run)["lost"] == {}
    assert asked(tmp_path) == ["q"]


def unlike_itself(folder: Path) -> str:
    """Return code that sees something else when it is run again."""
    flag = str(folder / "flag")
    return f"import os\nseen = os.path.exists({flag!r})\nopen({flag!r}, 'w').close()\n"


async def damage(runner: Runner, table: str, name: str) -> None:
    """Change a stored body."""

    def unit(connection: Any) -> None:
        changed = connection.execute(f"UPDATE {table} SET body = body || x'00' WHERE hash = ?", (name,))
        assert changed.rowcount == 1

    await runner.stores.database.commit(unit)


async def test_an_idle_kernel_is_ended_and_restored_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = MemoryKernels()
    gone = asyncio.Event()
    model = tmp_path / "m.py"
    model.write_text(
        "async def root(messages):\n"
        "    if '[Turn 1]' not in messages[-1]['content']:\n"
        "        return '```repl\\na = b = [1]\\n```'\n"
        "    await gone.wait()\n"
        "    return '```repl\\nFINAL([a is b, a])\\n```'\n"
        "def sub(prompt): return prompt\n"
    )
    monkeypatch.setattr(builtins, "gone", gone, raising=False)
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        running = asyncio.create_task(runner.run("What?", model=f"scripted:{model}", kernel_idle=0.01))
        # The model gives its second turn only once the kernel is gone.
        while not (kernels.sessions and kernels.sessions[0]._lost):
            await asyncio.sleep(0)
            assert not running.done(), running.result()
        gone.set()
        run = await running
    assert run.answer == [True, [1]]
    assert len(kernels.sessions) == 2
    assert report(run)["restored"] == ["a", "b", "context"]
