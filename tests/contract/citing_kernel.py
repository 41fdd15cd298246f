"""Kernels that post the citations that a cell says, true or not: `_posted = [(id, document, start, end, quote)]`."""

import asyncio
from dataclasses import replace

from durable_rlm.kernel.results import CellResult, PostedCitation
from durable_rlm.kernel.session import KernelSession, KernelSpec
from tests.contract.in_memory_kernel import MemoryKernels, MemorySession


class CitingKernels(MemoryKernels):
    """A factory of kernels that post them."""

    async def start(self, spec: KernelSpec) -> KernelSession:
        session = CitingSession(spec, asyncio.get_running_loop())
        self.sessions.append(session)
        return session


class CitingSession(MemorySession):
    """A session whose final values cite what the cell's `_posted` says."""

    async def result(self) -> CellResult:
        result = await super().result()
        if result.final is None:
            return result
        posted = tuple(PostedCitation(*one, how="exact") for one in self._namespace.get("_posted", ()))
        return replace(result, final=replace(result.final, citations=posted))
