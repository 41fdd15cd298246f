"""The fork server as a Jupyter kernel provisioner: managers start, restart and end its kernels."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.host.kernel_pool import ForkServerPool
from durable_rlm.kernel.host.launch import KernelManager, make_manager
from durable_rlm.kernel.host.provisioner import NAME, ForkServerProvisioner
from durable_rlm.kernel.session import KernelSpec


@pytest.fixture
async def manager() -> AsyncGenerator[KernelManager]:
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        pool = ForkServerPool(Path(folder), [], [], ())
        spec = KernelSpec("thread")
        launched = await make_manager(pool, {**spec.process(), "setup": spec.setup()})
        await launched.manager.start_kernel()
        yield launched.manager
        await launched.end()
        await pool.close()


async def evaluate(manager: KernelManager, code: str) -> str:
    """Evaluate the expression `code` with an ordinary client of the kernel and return its value as text."""
    client: Any = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        reply = await client.execute("pass", user_expressions={"v": code}, reply=True, timeout=30)
        return str(reply["content"]["user_expressions"]["v"].get("data", {}).get("text/plain"))
    finally:
        client.stop_channels()


def test_the_provisioner_is_registered_with_jupyter() -> None:
    [found] = entry_points(group="jupyter_client.kernel_provisioners", name=NAME)
    assert found.load() is ForkServerProvisioner


async def test_a_restarted_kernel_has_no_variables_of_the_old_one(manager: KernelManager) -> None:
    assert await evaluate(manager, "globals().setdefault('kept', 6) * 7") == "42"
    assert await evaluate(manager, "kept") == "6"
    first = manager.connection_file
    await manager.restart_kernel(now=True)
    assert await evaluate(manager, "globals().get('kept')") == "None"
    assert not Path(first).parent.exists()


async def test_a_kernel_that_is_shut_down_ends_and_its_folder_is_removed(manager: KernelManager) -> None:
    folder = Path(manager.connection_file).parent
    assert await manager.is_alive() and (folder / "s-1").is_socket()
    await asyncio.wait_for(manager.shutdown_kernel(now=True), 5)
    assert not await manager.is_alive() and not folder.exists()
