"""`rlm gc` killed at every failpoint that it passes, and beside a run of another process: no run loses anything."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.maintenance import collect_garbage
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import RunBusy
from durable_rlm.state.maintenance.gc import GRACE, collect
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, ask
from tests.graph.saved_home import make_home
from tests.kill.test_no_orphans import run_that_waits
from tests.scripts import repl, write_script

ROOT = Path(__file__).parents[2]


def stored(home: Path) -> set[str]:
    """Return the names of everything that is stored by its content."""
    tables = {name for table in ("texts", "chunks", "manifests") for [name] in ask(home, f"SELECT hash FROM {table}")}
    return tables | {path.parent.name + path.name for path in (home / "blobs").rglob("*/*")}


@pytest.fixture
def killed(tmp_path: Path) -> list[Path]:
    """Return copies of a home from which a run was deleted; in all but the last, a collection was killed."""
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
async def test_a_collection_killed_at_any_failpoint_harms_no_run_and_can_be_repeated(killed: list[Path]) -> None:
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


@pytest.mark.kill
async def test_gc_and_delete_spare_a_run_that_another_process_has_executed_for_hours(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_that_waits(tmp_path) as (parent, _):
        blobs = Blobs(home / "blobs")
        collect(home / DATABASE, blobs, clock=lambda: time.time() + 10 * GRACE)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            with pytest.raises(RunBusy):
                await runner.delete("crashing")
            parent.kill()
            parent.wait()
            assert (await runner.verify("crashing")).ok
            write_script(tmp_path / "m.py", [repl("FINAL(llm_query('q'))")], sub="return 'at last'")
            assert (await runner.resume("crashing")).answer == "at last"
            await runner.delete("crashing")
