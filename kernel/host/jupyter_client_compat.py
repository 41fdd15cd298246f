"""The private parts of jupyter_client that are used, to start a kernel from a given specification without delay."""

from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager


class DirectKernelManager(AsyncKernelManager):
    """A manager of a kernel whose specification is given, and not looked up by its name in Jupyter's folders."""

    given_spec: KernelSpec | None = None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        """The given specification. jupyter_client's own property, which is documented, looks it up."""
        return self.given_spec

    async def start_kernel(self, **kw: Any) -> None:  # type: ignore[override]
        """Start the kernel.

        jupyter_client's own method also sleeps for 10 ms, for its tests, and connects a socket that only a graceful
        shutdown needs. The rest of it is private: `_attempted_start`, without which a second shutdown raises, and
        `_async_launch_kernel`, which makes what a provisioner says about its sockets and the connection file agree.
        """
        self._attempted_start = True
        command, options = await self.pre_start_kernel(**kw)
        await self._async_launch_kernel(command, **options)
        assert self.provisioner is not None
        await self.provisioner.post_launch(**options)
