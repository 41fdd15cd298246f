"""Kernels as Jupyter kernels: any client can attach to a running one, and other provisioners can start them."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from durable_rlm.state.errors import UsageError
from tests.contract.session_contract import run
from tests.scripts import Asked, repl, write_script

CONSOLE = Path(sys.executable).parent / "jupyter-console"


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the kernel host creates its own."""
    # Short, because the paths of Unix sockets are.
    folder = Path(tempfile.mkdtemp(prefix="a"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
async def kernels(sockets: Path) -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()
    assert list(sockets.iterdir()) == []
    sockets.rmdir()


async def test_jupyter_console_attaches_to_a_running_kernel_and_leaves_it_alive(
    kernels: Kernels, sockets: Path, tmp_path: Path
) -> None:
    session = await kernels.start(KernelSpec("thread"))
    await run(session, "found = ['needle']")
    [connection] = sockets.glob("**/connection.json")
    settings = json.loads(connection.read_text())
    assert settings["transport"] == "ipc" and connection.stat().st_mode & 0o077 == 0
    console = await asyncio.create_subprocess_exec(
        *(CONSOLE, "--existing", connection, "--simple-prompt"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    out, _ = await asyncio.wait_for(console.communicate(b"print('seen', found)\nfound.append('looked')\nexit\n"), 60)
    assert b"seen ['needle']" in out
    assert (await run(session, "found")).output == "['needle', 'looked']\n"


async def test_another_provisioner_can_start_the_same_kernel(kernels: Kernels) -> None:
    spec = KernelSpec("thread", provisioner="local-provisioner", models=("provider:root",))
    session = await kernels.start(spec)
    result = await run(session, "import os\nprint(llm_query('q'), os.getcwd().endswith('scratch'))\nFINAL(1)")
    assert result.output == "Q True\n" and result.final is not None
    await session.close()


def installed(folder: Path, name: str, target: str) -> None:
    """Make a package that registers a kernel provisioner."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[jupyter_client.kernel_provisioners]\n{name} = {target}\n")


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("unknown", "", "No kernel provisioner named unknown is installed"),
        ("broken", "no_such_module:Provisioner", "The kernel provisioner broken starts no kernel: "),
        ("wrong", "json:dumps", "The kernel provisioner wrong starts no kernel: "),
    ],
)
async def test_a_wrong_provisioner_is_refused_before_anything_is_paid(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, said: str
) -> None:
    if target:
        installed(tmp_path, name, target)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        with pytest.raises(UsageError, match=said):
            await runner.run("What?", model=model, kernel_provisioner=name)
        assert await runner.queries.runs() == []
    assert len(Asked(model)) == 0


async def test_a_run_uses_a_provisioner_that_starts_kernels(kernels: Kernels, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(6 * 7)")])
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        run = await runner.run("What?", model=model, kernel_provisioner="local-provisioner")
    assert run.answer == 42, run
