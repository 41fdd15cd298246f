"""Runs on a machine without a sandbox: they are refused unless the user allows unconfined code."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.kernel.session import KernelSession, KernelSpec, Sandbox
from durable_rlm.state.errors import NoSandbox
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script


class Unconfined(MemoryKernels):
    """Kernels of a machine on which no sandbox tier holds."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[KernelSpec] = []

    async def warm_up(self, *, sandboxed: bool = True, environment: str = "") -> Sandbox:
        if sandboxed:
            raise NoSandbox("No sandbox holds on this machine.", hint="Install one.")
        return await super().warm_up(sandboxed=sandboxed, environment=environment)

    async def start(self, spec: KernelSpec) -> KernelSession:
        assert not spec.sandboxed
        self.started.append(spec)
        return await super().start(spec)


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=Unconfined()) as runner:
        yield runner


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(llm_query('q'))")])


async def test_a_run_without_a_sandbox_is_refused_before_anything_is_saved_or_paid(runner: Runner, model: str) -> None:
    asked = Asked(model)
    with pytest.raises(NoSandbox) as refused:
        await runner.run("Q?", "text", model=model, thread="t")
    assert refused.value.exit_code == 2 and "Install one" in str(refused.value)
    assert (asked.prompts, asked.roots) == ([], []) and await runner.queries.runs() == []


async def test_a_run_executes_unconfined_when_the_user_allows_it(runner: Runner, model: str) -> None:
    assert (await runner.run("Q?", model=model, unsandboxed=True)).status == "answered"


async def test_a_directly_answered_run_needs_no_sandbox(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", ["an answer"])
    assert (await runner.run("Q?", "text", model=model, mode="direct")).answer == "an answer"


async def test_a_run_from_another_machine_resumes_unconfined_only_when_the_user_allows_it(
    tmp_path: Path, model: str
) -> None:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("Q?", model=model, thread="t", max_calls=1)
        assert run.status == "budget"
    kernels = Unconfined()
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        with pytest.raises(NoSandbox):
            await runner.resume("t", max_calls=100)
        assert (await runner.resume("t", max_calls=100, unsandboxed=True)).status == "answered"
    assert len(kernels.started) == 1
