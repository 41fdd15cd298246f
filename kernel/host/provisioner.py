"""A Jupyter kernel provisioner whose kernels come from the fork server.

It is the extension point for other ways to start kernels: a kernel specification that names another provisioner, for
example one that starts a container, gets `launch.py kernel -f connection.json` to run there (`docs/kernels.md`).
https://jupyter-client.readthedocs.io/en/stable/provisioning.html
"""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from ..inside.protocol import CHANNELS
from .fork_server import ForkedKernel, ForkServer
from .kernel_pool import WarmKernels

NAME = "rlm-fork-server"


class ForkServerProvisioner(KernelProvisionerBase):
    """One kernel. Its manager has `fork_server`, `ready`, and the kernel's `memory`, `cpu_seconds` and `files`."""

    _kernel: ForkedKernel | None = None

    @property
    def kernel(self) -> ForkedKernel | None:
        """The fork server's record of the kernel."""
        return self._kernel

    @property
    def has_process(self) -> bool:
        return self._kernel is not None

    @property
    def _server(self) -> ForkServer:
        return cast(Any, self.parent).fork_server

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the launch without a command and without this process's environment."""
        return await super().pre_launch(**{**kwargs, "env": {}, "cmd": []})

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Take a kernel and activate it. Raises ForkFailed."""
        del cmd, kwargs
        manager = cast(Any, self.parent)
        ready: WarmKernels = manager.ready
        kernel = self._kernel = await ready.take()
        try:
            await self._server.activate(kernel, manager.memory, manager.cpu_seconds, manager.files)
        finally:
            for known, place in manager.files.items():
                if known != place:
                    # Created for this kernel, which has opened it.
                    Path(place).unlink(missing_ok=True)  # noqa: ASYNC240
        ports: dict[str, int] = {f"{channel}_port": port for port, channel in enumerate(CHANNELS, 1)}
        self.connection_info = cast(
            KernelConnectionInfo,
            {
                "transport": "ipc",
                "ip": str(kernel.folder / "s"),
                "key": kernel.key.encode(),
                "signature_scheme": "hmac-sha256",
                **ports,
            },
        )
        manager.connection_file = str(kernel.folder / "connection.json")
        return self.connection_info

    async def poll(self) -> int | None:
        if self._kernel is None:
            return 0
        return self._kernel.ended.result() if self._kernel.ended.done() else None

    async def wait(self) -> int | None:
        if self._kernel is None:
            return 0
        return await asyncio.shield(self._kernel.ended)

    async def send_signal(self, signum: int) -> None:
        if self._kernel is not None:
            self._server.signal(self._kernel, signum)

    async def kill(self, restart: bool = False) -> None:
        del restart
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        del restart
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Release the kernel and remove its folder."""
        del restart
        if self._kernel is not None:
            folder, self._kernel = self._kernel.folder, None
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
