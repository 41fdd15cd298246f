"""The fork server is a Jupyter kernel provisioner: managers start, restart, interrupt and end its kernels."""

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
        made = await make_manager(pool, {**spec.process(), "setup": spec.setup()})
        await made.manager.start_kernel()
        yield made.manager
        await made.end()
        await pool.close()


async def told(manager: KernelManager, code: str) -> str:
    """What an ordinary client of the kernel is told that the expression `code` gives."""
    client: Any = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        reply = await client.execute("pass", user_expressions={"v": code}, reply=True, timeout=30)
        return str(reply["content"]["user_expressions"]["v"].get("data", {}).get("text/plain"))
    finally:
        client.stop_channels()


def test_it_is_registered_where_jupyter_looks_for_provisioners() -> None:
    [found] = entry_points(group="jupyter_client.kernel_provisioners", name=NAME)
    assert found.load() is ForkServerProvisioner


async def test_a_restarted_kernel_is_another_one(manager: KernelManager) -> None:
    assert await told(manager, "globals().setdefault('kept', 6) * 7") == "42"
    assert await told(manager, "kept") == "6"
    first = manager.connection_file
    await manager.restart_kernel(now=True)
    assert await told(manager, "globals().get('kept')") == "None"
    assert not Path(first).parent.exists()


async def test_a_kernel_that_is_shut_down_is_gone_with_its_folder(manager: KernelManager) -> None:
    folder = Path(manager.connection_file).parent
    assert await manager.is_alive() and (folder / "s-1").is_socket()
    await asyncio.wait_for(manager.shutdown_kernel(now=True), 5)
    assert not await manager.is_alive() and not folder.exists()
