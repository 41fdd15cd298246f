"""Homes whose files other users own or may write, and homes with links in place of their files."""

import os
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.state import home_access
from durable_rlm.state.errors import StoreError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home with a run whose input is a blob."""
    model = write_script(tmp_path / "m.py", [repl("FINAL(context and 'so')")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        assert (await runner.run("Why?", "the text", thread="t", model=model)).answer == "so"
    return tmp_path / "home"


async def opened(home: Path, *, trust: bool = False) -> str:
    async with Runner.open(home, kernels=MemoryKernels(), trust=trust) as runner:
        return str((await runner.read("t")).answer)


@pytest.mark.parametrize("part", ["", "checkpoints.sqlite", "blobs"])
async def test_the_right_of_others_to_write_is_taken_away_and_that_is_said(
    part: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = home / part
    path.chmod(path.stat().st_mode | 0o022)
    assert await opened(home) == "so"
    assert path.stat().st_mode & 0o022 == 0
    assert caplog.messages == [f"Other users could write to {path}; now only you can."]


@pytest.mark.parametrize("part", ["", "checkpoints.sqlite", "blobs"])
async def test_files_of_another_user_are_refused_unless_the_call_trusts_them(
    part: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, owner = os.stat, (home / part).stat()

    def stat(path: Path, **options: bool) -> os.stat_result:
        facts = there(path, **options)
        if (facts.st_dev, facts.st_ino) != (owner.st_dev, owner.st_ino):
            return facts
        return os.stat_result([*facts[:4], facts.st_uid + 1, *facts[5:]])

    monkeypatch.setattr(os, "stat", stat)
    assert home_access.belongs_to_others(home)
    with pytest.raises(StoreError, match="belongs to another user") as refused:
        await opened(home)
    assert "rlm home copy" in refused.value.hint and "--trust" in refused.value.hint
    assert await opened(home, trust=True) == "so"


@pytest.mark.parametrize("part", ["checkpoints.sqlite", "blobs"])
async def test_a_link_in_place_of_a_file_of_the_home_is_not_followed(part: str, home: Path) -> None:
    (home / part).rename(home.parent / "elsewhere")
    (home / part).symlink_to(home.parent / "elsewhere")
    before = sorted((home.parent / "elsewhere").rglob("*"))
    with pytest.raises(StoreError, match="is a link, which is not followed"):
        await opened(home)
    with pytest.raises(StoreError, match=r"not (followed|read)"):
        async with Runner.open(home, read_only=True) as runner:
            await runner.read("t")
    assert sorted((home.parent / "elsewhere").rglob("*")) == before


async def test_everybodys_folder_is_no_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreError, match="Everybody may write to"):
        async with Runner.open(tmp_path):
            raise AssertionError("opened")
    assert list(tmp_path.iterdir()) == []


async def test_a_pipe_in_place_of_a_blob_is_damage_and_stops_nothing(home: Path) -> None:
    for blob in (home / "blobs").glob("??/*"):
        blob.unlink()
        os.mkfifo(blob)
    async with Runner.open(home, kernels=MemoryKernels(), read_only=True) as runner:
        report = await runner.verify("t")
    assert {(problem.kind, problem.fault) for problem in report.problems} == {
        ("input", "cannot be read (not an ordinary file)")
    }
