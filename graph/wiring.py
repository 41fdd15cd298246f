"""Opens the dependencies of the nodes over the stores of a home."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ..kernel.confined import Programs, ProgramSpec
from ..kernel.jupyter import JupyterKernels
from ..kernel.session import Kernels
from ..nodes.models.client import ModelClient
from ..nodes.models.providers import open_client
from ..nodes.runtime.dependencies import Dependencies, OpenModels
from ..nodes.runtime.searching import Searches
from ..state.failpoints import Failpoint, no_failpoint
from ..state.model_specs import ModelSpec
from ..state.search.files import FOLDER
from ..state.stores import Stores


@asynccontextmanager
async def open_deps(
    stores: Stores,
    *,
    kernels: Kernels | None = None,
    open_model: OpenModels | None = None,
    tracing: bool = False,
    failpoint: Failpoint = no_failpoint,
) -> AsyncGenerator[Dependencies]:
    """Provide the nodes' dependencies, and close the kernels and their host at the end."""
    kernels = kernels or JupyterKernels([stores.blobs.folder], hidden=[stores.home])
    searches = Searches(stores.home / FOLDER)
    try:
        opened = open_model or open_configured_model
        yield Dependencies(
            stores=stores,
            kernels=kernels,
            open_model=opened,
            open_programs=_open_programs,
            searches=searches,
            tracing=tracing,
            failpoint=failpoint,
        )
    finally:
        await kernels.close()
        await searches.close()


def _open_programs(spec: ProgramSpec, sandboxed: bool) -> Programs:
    # Imported for runs that read files which need it.
    from ..kernel.host.confined_programs import open_programs

    return open_programs(spec, sandboxed)


def open_configured_model(spec: ModelSpec) -> ModelClient:
    """Open the client of a configured model. Raises ModelSetupError."""
    return open_client(
        spec.name,
        base_url=spec.base_url,
        price=spec.price,
        options=spec.options,
        key_names=spec.key_names,
        roles=spec.roles,
    )
