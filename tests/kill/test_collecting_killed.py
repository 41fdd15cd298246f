"""kill -9 of `rlm gc` at every point that it passes: no run loses anything, and the next one frees the rest."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.housekeeping import collect_garbage
from durable_rlm.kernel.memory import MemoryKernels
from tests.damage import ask
from tests.unit.graph.saved import make_home

ROOT = Path(__file__).parents[2]


def stored(home: Path) -> set[str]:
    """The names of everything that is stored by its content."""
    tables = {name for table in ("texts", "chunks", "manifests") for [name] in ask(home, f"SELECT hash FROM {table}")}
    return tables | {path.parent.name + path.name for path in (home / "blobs").rglob("*/*")}


@pytest.fixture
def killed(tmp_path: Path) -> list[Path]:
    """Copies of a home from which a run was deleted, each with a collection killed in it; the last one's was not."""
    home = make_home(tmp_path)

    async def delete() -> None:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            await runner.delete("hurt")

    asyncio.run(delete())
    (home / "blobs" / ".partial-0").write_bytes(b"half of it")
    command = [sys.executable, "-m", "tests.kill.collecting", str(home), str(tmp_path / "killed")]
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == 0
    return sorted((tmp_path / "killed").iterdir(), key=lambda folder: int(folder.name))


@pytest.mark.kill
async def test_killed_at_any_point_it_takes_nothing_from_a_run_and_is_done_again(killed: list[Path]) -> None:
    whole = stored(killed[-1])
    points = Counter((home / "killed-at").read_text() for home in killed[:-1])
    assert points["gc-looked"] == 1 and points["gc-blob"] > 2 and points["gc-rows"] == 3 and points["gc-space"] > 0
    assert whole < stored(killed[0])
    for home in killed:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            assert (await runner.verify("other")).ok, home
        await collect_garbage(home)
        assert stored(home) == whole, home
        assert not list((home / "blobs").glob(".partial-*"))
