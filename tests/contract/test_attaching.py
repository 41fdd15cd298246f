"""Kernels as Jupyter kernels: any client can attach to a running one, and other provisioners can start them."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Kernels, KernelSpec
from tests.contract.session_contract import run

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
