"""Homes saved by every released version can be read, and their runs resumed (promise P8)."""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.wiring import open_configured_model
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.state.db.schema import SCHEMA_VERSION
from durable_rlm.state.errors import StoreError
from durable_rlm.state.home_access import DATABASE
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.fixtures.homes import model

HOMES = Path(model.__file__).parent
FORMATS = sorted(folder.name for folder in HOMES.glob("format-*"))


class Crash(BaseException):
    """The process dies."""


class CountedModels:
    """Opens the fixtures' script for any name, and counts its requests."""

    def __init__(self, script: Path) -> None:
        self.asked = script.with_suffix(".asked")
        text = script.read_text()
        note = f"with open({str(self.asked)!r}, 'a') as log: log.write(prompt + '\\n')"
        script.write_text(text.replace("    return prompt.upper()", f"    {note}\n    return prompt.upper()"))
        self._script = script

    def __call__(self, spec: ModelSpec) -> ModelClient:
        assert spec.name == model.MODEL
        return open_configured_model(replace(spec, name=f"scripted:{self._script}"))

    @property
    def prompts(self) -> Counter[str]:
        return Counter(self.asked.read_text().splitlines() if self.asked.exists() else [])


@pytest.fixture(params=FORMATS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(HOMES / request.param, tmp_path / "home"))


@pytest.fixture
def models(tmp_path: Path) -> CountedModels:
    model.write_model(tmp_path / "m.py")
    return CountedModels(tmp_path / "m.py")


async def test_a_finished_run_is_read(home: Path, models: CountedModels) -> None:
    async with Runner.open(home, kernels=MemoryKernels(), open_model=models) as runner:
        run = await runner.resume("finished")
        assert (run.status, run.answer, run.turns) == ("answered", model.ALL, 3)
        assert len(await runner.queries.steps("finished")) == run.steps
        assert len(await runner.queries.calls("finished")) == 8
    assert not models.prompts


async def test_a_killed_run_resumes_and_pays_for_no_call_twice(home: Path, models: CountedModels) -> None:
    async with Runner.open(home, kernels=MemoryKernels(), open_model=models) as runner:
        before = await runner.queries.calls("killed")
        answered = {call.prompt for call in before if call.answer is not None}
        run = await runner.resume("killed")
    assert (run.status, run.answer) == ("answered", model.ALL)
    assert len(answered) == 6
    assert len(models.prompts) == 2 and not set(models.prompts) & answered


async def test_a_run_is_forked_and_its_answers_are_reused(home: Path, models: CountedModels) -> None:
    async with Runner.open(home, kernels=MemoryKernels(), open_model=models) as runner:
        plans = [step["step"] for step in await runner.queries.steps("finished") if step["kind"] == "plan"]
        await runner.fork("finished", plans[1], into="fork")
        run = await runner.resume("fork")
        assert (run.status, run.answer) == ("answered", model.ALL)
        assert (await runner.verify("fork")).ok
    assert not models.prompts


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("format-1", "format-2")])
async def test_a_prompt_stored_as_a_slice_of_the_input_is_read(tmp_path: Path, form: str) -> None:
    home = Path(shutil.copytree(HOMES / form, tmp_path / "home"))
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM recipes").fetchone() == (1,)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        [call] = await runner.queries.calls("sliced")
        assert (call.prompt, call.answer) == (model.SLICED, str(len(model.SLICED)))
        assert (await runner.verify("sliced")).ok


async def test_variables_saved_by_an_earlier_version_are_restored_and_not_rebuilt(tmp_path: Path) -> None:
    """Snapshots use the kernel's module names of their time. Only a real kernel unpickles them."""
    home = Path(shutil.copytree(HOMES / "format-4", tmp_path / "home"))
    script = tmp_path / "m.py"
    model.write_objects_model(script)
    async with Runner.open(
        home, open_model=lambda spec: open_configured_model(replace(spec, name=f"scripted:{script}"))
    ) as r:
        run = await r.resume("objects")
    assert (run.status, run.answer) == ("answered", model.OBJECTS_LEFT)
    assert run.restore is not None
    # A generator cannot be saved: its cell is replayed, and equal variables are taken from the snapshot.
    assert (len(run.restore["restored"]), list(run.restore["rebuilt"])) == (18, ["made"])


async def test_a_home_of_a_later_format_is_refused_with_instructions_and_not_changed(tmp_path: Path) -> None:
    home = Path(shutil.copytree(HOMES / FORMATS[-1], tmp_path / "home"))
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    before = (home / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="written by a newer durable-rlm") as refused:
        async with Runner.open(home, kernels=MemoryKernels()):
            pass
    assert "Install the newer version" in refused.value.hint
    assert (home / DATABASE).read_bytes() == before


@pytest.mark.parametrize("change", [{"from_the_future": 3}, {"max_turns": "as many as it takes"}])
async def test_a_run_with_settings_of_another_version_is_refused_with_instructions_and_not_changed(
    tmp_path: Path, models: CountedModels, change: dict[str, Any]
) -> None:
    home = Path(shutil.copytree(HOMES / FORMATS[-1], tmp_path / "home"))
    config: Any = {"configurable": {"thread_id": "killed"}}
    async with Runner.open(home, kernels=MemoryKernels(), open_model=models) as runner:
        state = (await runner.graph.aget_state(config)).values
        await runner._graph.aupdate_state(config, {"settings": {**state["settings"], **change}}, as_node="plan")
        steps = await runner.queries.steps("killed")
        with pytest.raises(StoreError, match="another version") as refused:
            await runner.resume("killed")
        assert "Install" in refused.value.hint
        assert await runner.queries.steps("killed") == steps
    assert not models.prompts


async def test_a_home_of_an_older_format_is_intact_after_its_migration(home: Path) -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        for thread in ("finished", "killed"):
            assert (await runner.verify(thread)).ok
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


@pytest.mark.parametrize("point", ["format-before", "format-uncommitted", "format-after"])
async def test_a_crash_during_a_migration_leaves_the_home_in_the_old_or_the_new_format(
    tmp_path: Path, models: CountedModels, point: str
) -> None:
    home = Path(shutil.copytree(HOMES / FORMATS[0], tmp_path / "home"))

    def failpoint(passed: str) -> None:
        if passed == point:
            raise Crash

    with pytest.raises(Crash):
        async with Runner.open(home, kernels=MemoryKernels(), failpoint=failpoint):
            pass
    async with Runner.open(home, kernels=MemoryKernels(), open_model=models) as runner:
        assert (await runner.resume("killed")).answer == model.ALL
        assert (await runner.verify("killed")).ok
