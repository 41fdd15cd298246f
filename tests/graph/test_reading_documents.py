"""Runs over files that are not text: they are read by reader processes, confined unless the user allows otherwise."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import InputError, Runner
from durable_rlm.graph import wiring
from durable_rlm.kernel.confined import Programs, ProgramSpec
from durable_rlm.state.errors import NoSandbox
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, write_script

_MAIL = b"Subject: Prices\n\nThe price is 4,200.\n"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a.eml").write_bytes(_MAIL)
    (folder / "b.txt").write_text("It was 3,900.")
    return folder


async def answered(tmp_path: Path, given: Path, **options: Any) -> str:
    """Return the prompt of a run that is answered directly."""
    model = write_script(tmp_path / "m.py", ["an answer"])
    asked = Asked(model)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("Q?", given, model=model, mode="direct", **options)
    return str([*asked.prompts, *asked.roots])


@pytest.mark.processes
@pytest.mark.parametrize("unsandboxed", [False, True])
async def test_a_run_reads_mail_by_a_process(
    tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch, unsandboxed: bool
) -> None:
    opened: list[Programs] = []
    inner = wiring._open_programs

    def remember(spec: ProgramSpec, sandboxed: bool) -> Programs:
        assert sandboxed != unsandboxed and spec.hidden == (tmp_path / "home",)
        opened.append(inner(spec, sandboxed))
        return opened[0]

    monkeypatch.setattr(wiring, "_open_programs", remember)
    prompt = await answered(tmp_path, given, unsandboxed=unsandboxed)
    assert "The price is 4,200." in prompt and "It was 3,900." in prompt
    [programs] = opened
    assert (getattr(programs, "tier", "") == "none") == unsandboxed


async def test_a_run_without_a_sandbox_reads_the_text_and_names_what_it_did_not_read(
    tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spec: ProgramSpec, sandboxed: bool) -> Programs:
        raise NoSandbox("No sandbox holds.", hint="Install one.")

    monkeypatch.setattr(wiring, "_open_programs", refuse)
    prompt = await answered(tmp_path, given)
    assert "It was 3,900." in prompt and "4,200" not in prompt
    with pytest.raises(InputError, match="no sandbox holds here; --unsandboxed reads it"):
        await answered(tmp_path, given / "a.eml")
